'use strict';
(() => {
  const form = document.getElementById('nodefilter');
  if (!form) return;
  form.hidden = false;
  const search = document.getElementById('nodesearch');
  const count = document.getElementById('nodecount');
  const nodes = [];
  for (const row of document.querySelectorAll('table.nodes tbody tr')) {
    const text = row.textContent.toLowerCase();
    if (row.classList.contains('more') && nodes.length) {
      nodes[nodes.length - 1].rows.push(row);
      nodes[nodes.length - 1].text += ' ' + text;
    } else {
      nodes.push({rows: [row], text});
    }
  }
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const {rows, text} of nodes) {
      const fits = words.every((word) => text.includes(word));
      for (const row of rows) row.hidden = !fits;
      if (fits) shown++;
    }
    count.textContent = shown === nodes.length ? '' : `${shown} of ${nodes.length}`;
  });
})();
