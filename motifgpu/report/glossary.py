"""What words of the report mean that someone who has not read the paper cannot know."""

from __future__ import annotations

TERMS = {
    "atom columns": "The atoms above one another along the beam, seen as one bright spot.",
    "with a patch, whole or cut": "Columns of which enough of the surroundings is in the image to say what "
    "they are.",
    "motifs": "Kinds of atom columns that look alike with their surroundings, the most frequent is 0.",
    "motif": "A kind of atom columns that look alike with their surroundings.",
    "domains": "Grains, sides of a twin boundary, stackings or phases.",
    "domain": "The grain, side of a twin boundary, stacking or phase that a column is in.",
    "columns at boundaries": "Columns between two domains, which are of neither.",
    "identity": "What stands in the column, in whichever domain.",
    "environments": "Motifs divided further by what the neighbours of a column are.",
    "sites without an atom": "Places where the lattice has a column and none is seen.",
    "sites that noise leaves open": "Places of the lattice where noise hides whether there is a column.",
    "kinds of motif-cell": "Unit cells that are not the crystal's, alone and in groups, by what they hold.",
    "patch size": "Side of the square around a column by which it is described: about two lattice periods.",
    "share": "Of all columns with a patch.",
    "confidence": "Mean probability of the motif, given the classes that were found; 1 is sure.",
    "nearest neighbours": "What the motif's columns have most often around them, and around how many: "
    "3 × 1 (77 %) is three columns of motif 1 around 77 % of its columns.",
    "2-fold": "How symmetric the mean patch is under half a turn; 1 is wholly, noise 0.5.",
    "3-fold": "How symmetric the mean patch is under a third of a turn; 1 is wholly, noise 0.3.",
    "4-fold": "How symmetric the mean patch is under a quarter of a turn; 1 is wholly, noise 0.2.",
    "6-fold": "How symmetric the mean patch is under a sixth of a turn; 1 is wholly, noise 0.1.",
    "mirror": "How symmetric the mean patch is under its best mirror; 1 is wholly.",
    "layout": "A map of likeness: columns that look alike stand together. Its axes mean nothing.",
    "Zernike moments": "66 numbers that describe a patch, of round patterns with more and more detail.",
    "neighbour shell": "The columns at about one distance around a column: the nearest, the next, and so on.",
}
