package gguf

import "golang.org/x/sys/cpu"

var haveAVX2 = cpu.X86.HasAVX2

// expandAVX2 is expandGo of so many groups, at least one.
//
//go:noescape
func expandAVX2(dst *float32, c *chunk, groups int)
