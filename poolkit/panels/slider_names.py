"""Names for sliders: ipywidgets writes the description beside a handle, and ties it to nothing."""

from __future__ import annotations

import ipywidgets as widgets

PANEL = "pk-sliders"
# A handle is an element of its own (role=slider) that a screen reader would call just "slider",
# and whose value on a log scale would be read as its exponent. What stands beside it says it right.
_SCRIPT = """
const found = () => {
  const panel = element.closest('.%s');
  if (!panel) { if (tries-- > 0) setTimeout(found, 50); return; }
  const say = () => panel.querySelectorAll('.widget-slider').forEach(slider => {
    const handle = slider.querySelector('[role=slider]');
    const words = {
      'aria-label': slider.querySelector('.widget-label'),
      'aria-valuetext': slider.querySelector('.widget-readout'),
    };
    for (const [name, beside] of Object.entries(words)) {
      const said = beside?.textContent;
      if (handle && said && handle.getAttribute(name) !== said) handle.setAttribute(name, said);
    }
  });
  new MutationObserver(say).observe(panel,
    { subtree: true, childList: true, attributeFilter: ['aria-valuenow', 'aria-valuetext'] });
  say();
};
let tries = 200;
found();
"""


def name_sliders(panel: widgets.Box) -> None:
    """Have the sliders in a panel told by their descriptions, where scripts may run."""
    panel.add_class(PANEL)
    script = {"application/javascript": _SCRIPT % PANEL}
    shown = {"output_type": "display_data", "data": script, "metadata": {}}
    # Not `display: none`: what is not laid out is not rendered.
    layout = widgets.Layout(height="0", margin="0", overflow="hidden")
    panel.children = (*panel.children, widgets.Output(outputs=(shown,), layout=layout))
