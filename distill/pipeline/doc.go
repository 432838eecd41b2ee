// Package pipeline makes a student, a small dense retriever, good at a corpus. It joins all stages: it makes queries
// for the passages, mines a list of candidates for each query, lets a teacher score the lists, trains the student on
// the lists (package distill), and compares the trained student with the untouched one.
//
//	outcome, err := pipeline.Specialise(ctx, student, corpus, pipeline.Recipe{Folder: "runs/mine"})
//	fmt.Println(outcome.Verdict)
//
// [Specialise] leaves the best student in the student that it was given. The zero [Recipe] is the best known default;
// its fields replace parts of the method by the user's own: queries, a language model, a teacher, scored lists, judged
// queries.
//
// # Is there anything to learn?
//
// A student cannot become better than what it reproduces. So the teacher check ([TeacherCheck]) compares the ranking
// that the student is to reproduce with the student's own ranking, before anything is trained. The queries are the
// judged queries, if there are any, and held-out queries. If the teacher is not better, the run ends with an error and
// nothing is trained.
//
// # Which student is kept
//
// Training meets several students. With Recipe.Judged the nDCG@10 of the judged queries chooses the best student, and
// nothing tests the choice. Without judged queries some passages are held out: no query of them is trained on.
// Queries of a type that is not trained on are made of the held-out passages. One half of the passages chooses the best
// student, and the other half tests it, because the best of many students is better by chance on what chose it. The
// trained student is kept only if a paired test finds its gain to be more than chance. Otherwise the
// student stays as it was.
//
// Recipe.TestQueries, judged queries and held-out queries are never trained on, nor are near copies of them.
// Recipe.Retention bounds how much the student may lose on other judged queries.
//
// # The folder of a run
//
// With Recipe.Folder every stage keeps its records in a folder as it makes them. The same call goes on from there after
// a kill or a cancelled context, with the same result to the bit on one machine. A stage whose settings and inputs are
// unchanged is not made again. Answers of a language model and scores of a teacher with a fingerprint are kept as they
// come, so that nothing is paid for twice. The folder also gets the student (model), the figures (results.json) and a
// page that shows them (report.html). One process at a time works in a folder; another one gets [retort.ErrInUse].
//
// A part of the caller's own, such as a generator or a teacher, should have a method Fingerprint() string whose value
// changes when the results of the part change. A part without the method is known by its Go type only.
//
// # Watching a run
//
// Recipe.Events watches a run. Callbacks are called from the goroutine that called Specialise, one at a time.
package pipeline
