// Package distill trains a small encoder, the student, to reproduce a teacher's scores over lists of passages: listwise
// distillation (Tamber et al. 2025, arXiv 2502.19712). It knows the student only as an encoder.Trainable and the loss as
// a loss.Loss, and needs no LibTorch of its own.
//
// [Train] takes the student, a corpus and scored lists, and leaves the best student it met in the student given: the
// untouched one too is a candidate and can win.
//
//	opts := distill.DefaultOptions()
//	result, err := distill.Train(ctx, student, corpus, lists, opts)
//
// # Two ways to train
//
// With [Both], queries and passages go through the same weights and both learn: the paper's way. With [QueryOnly] the
// student is split into two towers and only the query's learns. Passage vectors stay what they are, so that a live index
// need not be rebuilt; they are computed once, and a step costs only its queries.
//
// # A step
//
// A step takes QueriesPerStep lists and has the gradient of one large batch in the memory of a small one (GradCache: Gao
// et al. 2021, arXiv 2101.06983), written here for lists:
//
//  1. The distinct passages of the lists, each once however many lists it stands in, are sorted by length, cut into
//     micro-batches by a token budget and encoded. Micro-batches keep their graphs as long as these fit
//     Options.GraphBudget.
//  2. Blocks of queries Q against all passages P: S = Q Pᵀ, the loss of each row with its gradient dS, then dQ += dS P and
//     dP += dSᵀ Q. The whole matrix is never held.
//  3. Each micro-batch's rows of dQ or dP go backwards through its graph. Those that have none are encoded again with one.
//  4. The gradient is clipped, and AdamW steps at the rate of the schedule: up from 0, then linearly down.
//
// The loss of a step is the sum of its rows' losses, each multiplied by its list's weight, divided by the number of rows.
// [CheckGradient] compares the gradient with that of one plain batch and with central differences.
//
// The texts of the next step are gathered and tokenised, each text once a run, while the one at hand is computed.
// Options.Profile says where the time of a run went.
//
// There is no accumulation of gradients over several steps, and none is needed: QueriesPerStep may be as large as the lists
// allow, since what a step holds grows by its vectors only, and every query sees the passages of the whole step, which
// with accumulated smaller steps it would not. Nor is a layer's activation thrown away and computed anew: a graph never
// holds more than MicroBatchTokens beyond GraphBudget, and a micro-batch can be as small as one text.
//
// # Several workers
//
// With Options.Group several workers train one student, each with a copy of it: goroutines of one process ([NewLocalGroups]),
// or processes on one machine or several (package distill/gloo). A step's texts are shared out among them by their tokens,
// vectors are gathered, so that every query has the passages of all workers for negatives, and gradients are added up: the
// result is that of one worker to rounding. What grows with the step and not with a worker's share is the loss, which each
// computes in full. A worker that fails or is lost ends the run on all ([ErrWorkerLost]), and what was done is saved.
//
// # What a list says
//
// A list's scores are the target as a calibration of package teacher gives it: the trainer does not scale them. The
// positive of InfoNCE is the passage that the teacher puts first. An extractive query ([retort.Query.Extractive]) is
// cut out of its source, which any lexical teacher therefore puts first by a mile: it has no positive, and its source is no
// negative. Whether the source stands in the list is for who made the list to decide (ListShape.DropSource of distill/pipeline).
//
// # Choosing the best
//
// A tenth of the lists is held out by the passages they come from. Before the first step, after each epoch or every
// EvalSteps, the student ranks all passages of the held-out lists for each held-out query; nDCG@10 with the teacher's
// scores of its first ten passages as gains says which student is best. Training stops when Patience evaluations in a row
// have brought nothing. This measures agreement with the teacher; Selection.DevFraction says where it misleads, and
// Selection.Evaluate puts another measure in its place, and ChooseBy the loss of the held-out lists.
//
// Selection.Interpolate also tries weights between the untouched student and the best one. [Retention] measures what the
// student could do before, on queries or lists that it is not trained for: a student
// that forgets too much is drawn back towards the untouched student, or ends training. The error of a step
// that fails names the step and its queries.
//
// # Watching a run
//
// Options.Events are called at every stage, step, evaluation, checkpoint and warning. [retort.LogEvents] writes them to a
// logger. Package distill/metrics writes a line for each step and evaluation as CSV, and the same for TensorBoard, and adds
// up where the time goes.
//
// # Killed and resumed
//
// With Checkpoints.Dir a run writes checkpoints, and the same call goes on from the last one: after the end of the context no
// step is lost, after a kill those of Checkpoints.Every at most. On one machine the result has
// the same bits as that of an undisturbed run. Other lists, settings or another student in the same folder are an error
// that names what differs. The checkpoint before the last stays beside it: where the last is torn or damaged, training goes
// on from the other, and Events.Warning is called.
package distill
