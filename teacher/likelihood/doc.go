// Package likelihood is a [teacher.Teacher] made of a language model: a passage's score for a query is how likely the
// model finds the query behind the passage,
//
//	score(q, p) = 1/|q| * sum_i log P(q_i | prompt(p), q_1 ... q_i-1)
//
// over the query's tokens: the unsupervised passage re-ranker UPR (Sachan et al. 2022, arXiv 2204.07496). It is at
// most 0, needs no training and no judgements, and is as good as its model. generate/causallm is such a model.
//
//	t, err := likelihood.New(model, likelihood.Options{})
//	scores, err := teacher.Score(ctx, t, query, passages)
//
// A score depends on nothing but the query's text and the passage's content, but for rounding, so a teacher.Store can
// keep it.
package likelihood
