// Package modelfolder reads the JSON files of a model folder key by key, so that no key is ignored in silence: a
// [Schema] says which keys are read, which change nothing, and which are refused by name.
package modelfolder
