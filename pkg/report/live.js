'use strict';
(() => {
  const bar = document.getElementById('live');
  const show = document.getElementById('show');
  const text = document.getElementById('since');
  const reading = () => {
    const search = document.getElementById('search');
    const selection = document.getSelection();
    return Boolean(search && search.value) || Boolean(selection && !selection.isCollapsed) || Boolean(document.querySelector('details[open]')) ||
      Boolean(document.querySelector('#filter input[type=checkbox]:not(:checked)'));
  };
  show.addEventListener('click', () => location.reload());
  const look = async () => {
    if (document.hidden) return;
    let now;
    try {
      const response = await fetch(bar.dataset.ask, {cache: 'no-store'});
      if (!response.ok) throw new Error(response.statusText);
      now = await response.json();
    } catch {
      text.textContent = 'The daemon does not answer.';
      return;
    }
    if (now.tag === bar.dataset.tag) {
      text.textContent = `Up to date: last look at ${now.at}.`;
      show.hidden = true;
    } else if (reading()) { // nobody wants a page to vanish under their eyes
      text.textContent = `Something has changed: last look at ${now.at}.`;
      show.hidden = false;
    } else {
      location.reload(); // browsers keep the place on the page
    }
  };
  bar.hidden = false;
  setInterval(look, 5000);
  document.addEventListener('visibilitychange', look);
  look();
})();
