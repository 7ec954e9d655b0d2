// An option is found as it is written. A dash before a word means "without it" to the search, and one within it a space,
// unless it is escaped, for each of the two times that a query is read.
const asWords = (query) => query.replace(/(^|\s)-+(\w[\w-]*)/g, (_, before, word) => `${before}+` + word.replaceAll("-", "\\\\\\-"));
for (const kind of new Set([window.Worker, window.IFrameWorker])) {
  const post = kind?.prototype.postMessage;
  if (post) {
    kind.prototype.postMessage = function (message, ...others) {
      const isQuery = message?.type === 2 && typeof message.data === "string";
      return post.call(this, isQuery ? { ...message, data: asWords(message.data) } : message, ...others);
    };
  }
}
