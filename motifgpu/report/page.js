// A picture's link saves the picture itself, which so stands in the file once.
for (const link of document.querySelectorAll("a.save")) {
  link.href = link.closest("figure").querySelector("img").src;
}
