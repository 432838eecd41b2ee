// Package eval says how good a search is, and whether a change made it better.
//
// A [Collection] (corpus, queries, judgements) is read from a folder in BEIR layout. What a system returned is a [Run],
// read and written in TREC's format. [Evaluate] compares the run with the judgements, [Qrels], and returns a [Report]
// of one value a query and metric; [Compare] sets two reports side by side, with a p-value and a confidence interval.
//
// Every figure equals trec_eval's (the program of the Text REtrieval Conference, which most papers use, here with its
// option -c):
//
//   - Passages are ranked by score, compared in single precision, highest first; equal scores by passage id in
//     descending byte order. The ranks written in a run file and the order of the hits are ignored.
//   - A passage is relevant when its grade is 1 or more. An unjudged passage counts as not relevant; so does a grade of
//     0 or below. The gain of nDCG is the grade itself, not 2^grade - 1.
//   - A judged query that the run lacks, and one without any relevant passage, counts as 0 in every mean. Queries of the
//     run that were not judged are ignored.
//
// Other tools differ in the last point: tools that average over the queries of the run give a higher mean for a system
// that leaves queries unanswered.
package eval
