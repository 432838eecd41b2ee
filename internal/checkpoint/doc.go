// Package checkpoint keeps on disk what a training needs to go on after a kill: its last checkpoint, the one before, and the
// best model that each of them speaks of.
package checkpoint
