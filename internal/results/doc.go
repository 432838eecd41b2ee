// Package results holds what a run's systems did with every query of its evaluation: the file evaluate.jsonl of the run
// folder, one record a set, system and query. The report and the comparison of runs read it.
package results
