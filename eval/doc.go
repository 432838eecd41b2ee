// Package eval measures the quality of a search and tests whether a change improved it.
//
// A [Collection] (corpus, queries, judgements) is read from a folder in BEIR layout. A [Run] holds the results of a
// system, in TREC's format on disk. [Evaluate] compares a run with the judgements, [Qrels], and returns a [Report] with
// one value per query and metric. [Compare] compares two reports and returns a p-value and a confidence interval.
//
// All values equal the values of trec_eval (the program of the Text REtrieval Conference) with its option -c:
//
//   - Passages are ranked by score, compared in single precision, highest first; equal scores by passage id in
//     descending byte order. The ranks written in a run file and the order of the hits are ignored.
//   - A passage is relevant when its grade is 1 or more. An unjudged passage counts as not relevant; so does a grade of
//     0 or below. The gain of nDCG is the grade itself, not 2^grade - 1.
//   - A judged query that is not in the run, or that has no relevant passage, counts as 0 in every mean. Queries of the
//     run without judgements are ignored.
//
// Some tools differ in the last point: they average over the queries of the run, which gives a higher mean to a system
// that leaves queries unanswered.
package eval
