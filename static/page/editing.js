// Editing: one todo at a time, which the browser ensures.

const startEditing = (document, commands) => {
  let edited;
  // The text in the field when the editor was opened.
  let begunWith;

  // A patch for all visitors does not know which todo is being edited.
  const mark = () => {
    const item = document.getElementById(edited);
    // A todo that was removed and has come back is no longer being edited.
    if (item?.querySelector(".editor[open]")) {
      item.classList.add("editing");
    }
  };

  document.addEventListener("datastar-fetch", ({ detail: { type } }) => {
    if (type.startsWith("datastar-patch")) {
      mark();
    }
  });

  // Events of opening and closing do not bubble.
  const opening = { capture: true };
  document.addEventListener("toggle", ({ target: editor }) => {
    const item = editor.closest(".editor")?.closest("li");
    if (!item) {
      return;
    }
    item.classList.toggle("editing", editor.open);
    if (editor.open) {
      edited = item.id;
      const field = editor.querySelector("input:not([type=hidden])");
      if (!field) {
        return;
      }
      // The current text, not the one from when the editor was drawn.
      const text = field.matches(".edit") && item.querySelector("label, .text")?.textContent;
      begunWith = text || field.defaultValue;
      field.value = begunWith;
      field.focus();
      field.setSelectionRange(begunWith.length, begunWith.length);
    } else if (edited === item.id) {
      edited = undefined;
      if (document.activeElement === document.body || editor.contains(document.activeElement)) {
        editor.querySelector("summary").focus();
      }
    }
  }, opening);

  document.addEventListener("dblclick", ({ target }) => {
    const editor = target.closest(".view label")?.closest("li").querySelector(".editor");
    if (editor) {
      editor.open = true;
    }
  });

  document.addEventListener("keydown", ({ key, isComposing, target }) => {
    if (key === "Escape" && !isComposing && target.matches(".editor input")) {
      target.closest(".editor").open = false;
    }
  });

  // Leaving the field for another part of the page saves. Looking at another window does not,
  // nor does the removal of the todo. A plain form, which leaves the page, is not sent this way.
  document.addEventListener("focusout", async ({ target, relatedTarget }) => {
    const editor = target.closest("[data-page] .editor[open]");
    const field = editor?.querySelector(".edit");
    // A patch that removes the editor has not finished yet.
    await undefined;
    if (!field || document.activeElement === target || editor.contains(relatedTarget)) {
      return;
    }
    const draft = field.value.trim();
    if (!editor.isConnected) {
      if (draft && draft !== begunWith && !field.form.ariaBusy) {
        commands.say(`The todo that you were editing is no longer here. You had typed: ${draft}`);
      }
    } else if (draft === begunWith) {
      editor.open = false;
    } else if (!field.form.ariaBusy) {
      field.form.requestSubmit();
    }
  });

  // Pressing the button that ends editing does not count as leaving the field.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest(".editor[open] summary")) {
      event.preventDefault();
    }
  });
};
