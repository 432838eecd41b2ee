package onnx

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/retort-ir/retort/internal/atomicfile"
)

// maxInline is the size that no file of protocol buffers may reach.
const maxInline = math.MaxInt32

// ExternalSuffix is added to a file's name for the file beside it that holds the weights where the two together would
// be too large for one.
const ExternalSuffix = "_data"

// Save writes the graph to a file, whose folder it makes. It checks ctx between two weights, of which it holds one at a time.
func (g *Graph) Save(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	external := ""
	if g.tooLarge() {
		external = filepath.Base(path) + ExternalSuffix
		err := atomicfile.Write(path+ExternalSuffix, func(to io.Writer) error {
			return g.eachWeight(ctx, func(_ int, raw []byte) error {
				_, err := to.Write(raw)
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	return atomicfile.Write(path, func(to io.Writer) error { return g.write(ctx, to, external) })
}

func (g *Graph) tooLarge() bool {
	limit := g.inline
	if limit == 0 {
		limit = maxInline
	}
	const rest = 1 << 20 // the fields around the graph, with a margin
	size := int64(len(g.nodes)+len(g.inputs)+len(g.outputs)) + rest
	for _, w := range g.weights {
		size += int64(len(w.header())) + w.bytes()
	}
	return size > limit
}

// write writes a ModelProto. external is the file that holds the weights; "": it is this one.
func (g *Graph) write(ctx context.Context, to io.Writer, external string) error {
	model := appendVarint(nil, modelVersion, irVersion)
	model = appendBytes(model, modelProducer, []byte("retort"))
	model = appendBytes(model, modelOpset, appendVarint(nil, opsetVersion, opset))

	head := append([]byte(nil), g.nodes...)
	head = appendBytes(head, graphName, []byte("encoder"))
	head = append(append(head, g.inputs...), g.outputs...)
	size, offset := uint64(len(head)), int64(0)
	before := make([][]byte, len(g.weights)) // of each weight's bytes, which end its message
	for i, w := range g.weights {
		inline := uint64(0)
		t := w.header()
		if external != "" {
			t = appendExternal(t, external, offset, w.bytes())
			offset += w.bytes()
		} else {
			inline = uint64(w.bytes())
			t = protowire.AppendVarint(protowire.AppendTag(t, tensorRaw, protowire.BytesType), inline)
		}
		before[i] = protowire.AppendTag(nil, graphInitializer, protowire.BytesType)
		before[i] = append(protowire.AppendVarint(before[i], uint64(len(t))+inline), t...)
		size += uint64(len(before[i])) + inline
	}
	model = protowire.AppendVarint(protowire.AppendTag(model, modelGraph, protowire.BytesType), size)
	if _, err := to.Write(append(model, head...)); err != nil {
		return err
	}
	if external != "" {
		for _, b := range before {
			if _, err := to.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
	return g.eachWeight(ctx, func(i int, raw []byte) error {
		if _, err := to.Write(before[i]); err != nil {
			return err
		}
		_, err := to.Write(raw)
		return err
	})
}

// eachWeight reads the weights one by one.
func (g *Graph) eachWeight(ctx context.Context, do func(i int, raw []byte) error) error {
	var raw []byte
	for i, w := range g.weights {
		if err := ctx.Err(); err != nil {
			return err
		}
		values, err := w.read()
		if err != nil {
			return err
		}
		raw = appendFloats(raw[:0], values)
		if int64(len(raw)) != w.bytes() {
			return fmt.Errorf("%s: %d values for the shape %v", w.name, len(values), w.shape)
		}
		if err := do(i, raw); err != nil {
			return err
		}
	}
	return nil
}

func (w weight) bytes() int64 {
	n := int64(4)
	for _, d := range w.shape {
		n *= int64(d)
	}
	return n
}

func (w weight) header() []byte { return tensorHeader(w.name, TypeFloat, w.shape) }

// tensorHeader returns a TensorProto without its values.
func tensorHeader(name string, kind int32, shape []int) []byte {
	var t []byte
	for _, d := range shape {
		t = appendVarint(t, tensorDims, uint64(d))
	}
	t = appendVarint(t, tensorType, uint64(kind))
	if name != "" {
		t = appendBytes(t, tensorName, []byte(name))
	}
	return t
}

func appendExternal(t []byte, file string, offset, length int64) []byte {
	for _, entry := range [][2]string{{"location", file}, {"offset", fmt.Sprint(offset)}, {"length", fmt.Sprint(length)}} {
		e := appendBytes(nil, entryKey, []byte(entry[0]))
		t = appendBytes(t, tensorExternal, appendBytes(e, entryValue, []byte(entry[1])))
	}
	return appendVarint(t, tensorLocation, locatedExternal)
}
