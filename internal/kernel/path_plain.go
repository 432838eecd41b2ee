//go:build purego || !amd64

package kernel

func assembly() []*implementation { return nil }
