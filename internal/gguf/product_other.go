//go:build !amd64

package gguf

const haveProduct = false

func tileAVX2(*tile) {}

func roundAVX2(*int16, *float32, *float32, *float32, int) {}

func interleaveAVX2(*int16, *byte, int) {}
