// Package godoc is a test collection made of the documentation of Go's standard library. [Load] returns a corpus with one
// passage per symbol. [Documentation.Written] and [Documentation.Examples] are two sets of judged queries. "retort demo"
// specialises an encoder on this collection.
//
// The corpus comes from the local Go installation and differs between versions of Go: report [Documentation.Version] with
// every result. README.md describes how the queries were written and split.
package godoc
