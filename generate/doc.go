// Package generate invents queries that a passage answers, so that an encoder can be trained on a corpus that nobody has
// asked anything yet.
//
// A [QueryGenerator] makes queries of one passage. [Extractive] does so without any model, from the passage's own words:
// sentences, titles, keywords, phrases and "how to" questions, all of them for English. Its queries never hold the passage's
// own title or symbol whole, which every ranker would find at once. [All] runs a generator over a corpus in parallel, in
// the corpus's order; [Dedup] drops what says the same twice.
package generate
