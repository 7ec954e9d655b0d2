"""Nothing is loaded into the folders of another dataset."""

import pytest
from smspartner.errors import DestinationError
from smspartner_pipelines.load.nesting import FOLDERS, refuse_inside_dataset


@pytest.mark.parametrize("folder", FOLDERS)
def test_refused(tmp_path, folder):
    """A dataset's own folders, and what lies in them, are refused; links lead nowhere else."""
    (tmp_path / ".staging").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / folder)
    for place in (tmp_path / folder, tmp_path / folder / "x" / "all.csv", tmp_path / "link" / "all.csv"):
        with pytest.raises(DestinationError, match="lies inside the dataset"):
            refuse_inside_dataset(place)


def test_allowed(tmp_path):
    """Beside a dataset's folders there is room, and a folder of that name may stand anywhere else."""
    refuse_inside_dataset(tmp_path / "statuses" / "all.csv")
    (tmp_path / ".staging").mkdir()
    for place in (tmp_path, tmp_path / "all.csv", tmp_path / "other" / "data"):
        refuse_inside_dataset(place)
