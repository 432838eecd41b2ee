// Package mine finds the candidate passages of a query and decides which passages and queries are worth training on.
//
// Rankers: [BM25] (Lucene's formula over an index), [Dense] (exact search by inner product with the vectors of an
// encoder) and [ZScoreFusion], a sum of standardised scores of several. All are a [Retriever], which returns the best
// k, and a [Scorer], which scores every passage.
//
// A corpus of millions of passages takes little memory: retort.OpenCorpus leaves it in its file, NewBM25 goes to the
// disk beyond BM25Options.MemoryBudget, [WriteVectors] and [OpenDense] keep the vectors in a file. Close what you open.
//
// Filters: [RoundTrip] keeps the generated queries that find their own source; [QueryLength], [NearDuplicateQueries],
// [TestQueries] and [TestSources] judge queries; [ListLength], [SourceFirst], [TopScore] and [TeachersAgree] judge
// scored lists. Each says in a [Selection] what it kept, and what it dropped and why. A [Funnel] applies selections one
// after the other and counts them by query type.
//
// [Lists] turns rankings into the candidate lists that a teacher scores and a student learns from.
//
// Every result is deterministic: it depends neither on the number of processors nor on how queries are grouped, and
// ties are broken by ascending index in the corpus.
package mine
