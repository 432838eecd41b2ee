// Package results reads the per-query results of a run's evaluation: evaluate.jsonl in the run folder, with
// one record a set, system and query.
package results
