// Package metrics has listeners to the events of a training. A [Writer] writes steps and evaluations to CSV files and
// to an event file for TensorBoard. A [Profile] adds up where the time of the training went.
//
//	files, err := metrics.Open("metrics")
//	var profile metrics.Profile
//	opts := distill.DefaultOptions()
//	opts.Events = retort.Tee(files.Events(), profile.Events())
//	result, err := distill.Train(ctx, student, corpus, lists, opts)
//	err = files.Close()
//	fmt.Println(&profile)
//
// Package distill/pipeline writes such files to the folder of every run.
package metrics
