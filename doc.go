// Package retort holds the nouns that every room of the library shares: [Passage], [Query], [List] and [Corpus], and
// their form on disk, JSON Lines. Nothing in it computes.
//
// Retort makes an existing dense retriever good at your corpus. It invents queries for the passages (package generate),
// mines candidate lists (package mine), has a stronger ranker score each list (package teacher), and trains the small
// encoder (package encoder) to reproduce those scores (packages loss and distill): listwise distillation with synthetic
// queries (Tamber et al. 2025, arXiv 2502.19712). Package eval says whether it helped.
package retort
