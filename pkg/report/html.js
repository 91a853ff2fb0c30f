'use strict';
(() => {
  const form = document.getElementById('filter');
  for (const pre of document.querySelectorAll('.fix pre')) {
    if (!navigator.clipboard) break;
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'copy';
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(pre.querySelector('code').textContent.trimEnd());
      button.textContent = 'copied';
      setTimeout(() => { button.textContent = 'copy'; }, 1500);
    });
    pre.append(button);
  }
  if (!form) return;
  form.hidden = false;
  const search = document.getElementById('search');
  const count = document.getElementById('count');
  const articles = [...document.querySelectorAll('article')].map((node) => ({node, text: node.textContent.toLowerCase()}));
  const headings = [...document.querySelectorAll('h2[data-severity]')];
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set([...form.querySelectorAll('input:checked')].map((box) => box.value));
    const seen = new Set();
    let shown = 0;
    for (const {node, text} of articles) {
      node.hidden = !(wanted.has(node.dataset.severity) && words.every((word) => text.includes(word)));
      if (node.hidden) continue;
      shown++;
      seen.add(node.dataset.severity);
    }
    for (const heading of headings) heading.hidden = !seen.has(heading.dataset.severity);
    count.textContent = shown === articles.length ? '' : `${shown} of ${articles.length}`;
  };
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && document.activeElement !== search) { event.preventDefault(); search.focus(); }
    if (event.key === 'Escape' && document.activeElement === search) { search.value = ''; apply(); search.blur(); }
  });
  // A marked device leads to a finding that the search may have hidden.
  window.addEventListener('hashchange', () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target || !target.hidden) return;
    search.value = '';
    for (const box of form.querySelectorAll('input[type=checkbox]')) box.checked = true;
    apply();
    target.scrollIntoView();
  });
})();
