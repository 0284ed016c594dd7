// The focus: the element that has it may be removed.

const startFocus = (document) => {
  let used;

  const remember = (form) => {
    const item = form.closest("li[id]");
    const next = item?.nextElementSibling ?? item?.previousElementSibling;
    const control = item && document.activeElement.closest(".toggle, .destroy, .edit");
    used = control && {
      id: item.id,
      next: next?.id,
      control: control.matches(".toggle") ? ".toggle" : ".destroy",
      until: Date.now() + 3000,
    };
  };

  const refocus = () => {
    if (!used || document.getElementById(used.id)) {
      return;
    }
    if (Date.now() < used.until && document.activeElement === document.body) {
      const next = document.getElementById(used.next)?.querySelector(used.control);
      (next ?? document.querySelector(".new-todo"))?.focus();
    }
    used = undefined;
  };

  document.addEventListener("datastar-fetch", ({ detail: { type } }) => {
    if (type.startsWith("datastar-patch")) {
      refocus();
    }
  });

  return { remember };
};
