// Links to share: the address is selected as a whole, and a button copies it.

const startSharing = (document) => {
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".address")) {
      target.select();
    }
  });

  document.documentElement.classList.toggle("can-copy", Boolean(navigator.clipboard));

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest(".copy");
    if (!button) {
      return;
    }
    const address = button.closest("li").querySelector(".address");
    try {
      await navigator.clipboard.writeText(address.value);
    } catch {
      // The browser has refused access to the clipboard.
      address.select();
      return;
    }
    if ("copied" in button.dataset) {
      return;
    }
    // Changes of the page preserve these attributes.
    const { ariaLabel } = button;
    button.ariaLabel = "Copied";
    button.dataset.copied = "";
    setTimeout(() => {
      button.ariaLabel = ariaLabel;
      delete button.dataset.copied;
    }, 2_000);
  });
};
