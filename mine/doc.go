// Package mine finds the candidate passages of queries and filters queries and passages for training.
//
// Rankers: [BM25] (Lucene's formula over an inverted index), [Dense] (exact search by inner product with the vectors of
// an encoder) and [ZScoreFusion] (a sum of the standardised scores of several rankers). Each is a [Retriever], which
// returns the k best passages, and a [Scorer], which scores every passage.
//
// A corpus of millions of passages needs little memory: retort.OpenCorpus leaves the passages in the file, NewBM25 uses
// the disk beyond BM25Options.MemoryBudget, and [WriteVectors] and [OpenDense] keep the vectors in a file.
//
// Filters: [RoundTrip] keeps the generated queries that find their own source; [QueryLength], [NearDuplicateQueries],
// [TestQueries] and [TestSources] judge queries; [ListLength], [SourceFirst], [TopScore] and [TeachersAgree] judge
// scored lists. Each filter returns a [Selection] of what it kept, what it dropped and why. A [Funnel] applies
// selections one after another and counts them by query type.
//
// [Lists] selects from rankings the candidate lists that a teacher scores and a student learns from.
//
// All results are deterministic: they depend neither on the number of processors nor on how queries are grouped into
// calls. Ties are broken by ascending index in the corpus.
package mine
