// Package godoc is a test collection that every Go programmer has on disk: the documentation of Go's standard library.
// [Load] makes a corpus with one passage a symbol; [Documentation.Written] and [Documentation.Examples] are two sets of
// judged queries. "retort demo" specialises an encoder on this collection.
//
// The corpus is made from the sources of the Go that runs on the machine, so its size changes a little from one version
// of Go to the next: state [Documentation.Version] beside every figure. README.md says how the queries were written and
// split.
package godoc
