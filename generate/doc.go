// Package generate invents queries that a passage answers, so that an encoder can be trained on a corpus that nobody
// has asked anything yet.
//
// A [QueryGenerator] makes queries of one passage. [All] runs one over a corpus in parallel, in the corpus's order;
// [Dedup] drops what says the same twice.
//
// # From the passage's own words
//
// [Extractive] needs no model: it makes sentences, titles, keywords, phrases and "how to" questions, all of them for
// English. Its queries never hold the passage's own title or symbol whole, which every ranker would find at once.
//
// # By a language model
//
// [Prompted] asks a [Completer] for six types of query: questions, claims, titles, keywords, web searches as in MS
// MARCO, and whatever the model takes for a query without examples (Tamber et al. 2025, arXiv 2502.19712). Each type
// has eight fixed prompts of an instruction and three examples, and each passage has one of them for each type, so that
// a model computes their shared part once for all passages ([Prompt]). It makes queries of the answers, and a [Reason]
// says why an answer is dropped; a [Tally] counts them. A [QueryType] of your own has other instructions, or
// examples of one's own collection.
//
// Packages generate/openai (servers) and generate/causallm (models in this process) hold Completers. [Recorded] appends
// each answer of one to a file ([Answers]) as it comes, so that a run that was killed asks and pays for none twice.
package generate
