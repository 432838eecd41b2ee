// Package modelfolder reads the JSON files of a model folder key by key, so that no key in them is read past in
// silence: a [Schema] says which keys are read, which are known to change nothing, and which are refused by name.
package modelfolder
