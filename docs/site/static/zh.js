// Sphinx does not translate how many pages a search has found: the number is already in the text when it is looked up.
Documentation.TRANSLATIONS = new Proxy(Documentation.TRANSLATIONS, {
  get: (known, text) => {
    const count = /^Search finished, found (\d+) page/.exec(text);
    return count ? `找到 ${count[1]} 个页面。` : known[text];
  },
});
