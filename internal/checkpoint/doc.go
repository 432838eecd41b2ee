// Package checkpoint keeps on disk what a training needs to resume after a kill: the last two checkpoints, and the best
// model of each.
package checkpoint
