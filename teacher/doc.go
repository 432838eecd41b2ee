// Package teacher scores the passages of a list for a query: the target that a student learns from.
//
// A [Teacher] is anything that can say how well passages answer a query. [Func] makes one of a function, [FromEncoder]
// of a bi-encoder (the student as it was before training is a useful one), and [NewEnsemble] joins several: a free
// teacher is the z-scored sum of BM25 and the student itself. [Cached] remembers a teacher's scores in a [Store] on
// disk, so that a run that was killed, or repeated with other settings, never pays for a score twice. [Score] calls a
// teacher and checks what comes back, [ScoreAll] does so for many lists at the same time, and in batches where the
// teacher is a [BatchTeacher].
//
// An ensemble fuses z-scores, or reciprocal ranks ([NewRankFusion]). [FitWeights] finds its members' weights on judged
// lists of a dev split, and keeps equal ones where that is not sure to pay. How far the members agree
// (Scored.Agreement) is a confidence in a list.
//
// Teachers score on scales of their own. The calibrations bring a list's scores to what a loss expects: [MinMax] and
// [PercentileMinMax] to [0,1], and [OnStudentScale] builds a target that starts at the student's own similarities and
// adds what the teacher knows better. [PercentileRange] says in one line what was done.
package teacher
