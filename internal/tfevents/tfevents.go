// Package tfevents writes scalars to event files, which TensorBoard shows. A record holds the length of the data (8
// bytes, little-endian) with its masked CRC-32C, then the data, an Event in protocol buffers, with their masked CRC-32C
// (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
package tfevents

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/retort-ir/retort/internal/regular"
)

// Scalar is a value of a curve.
type Scalar struct {
	Tag   string // the curve's name; TensorBoard groups curves by the part before a slash
	Value float32
}

// Writer appends to an event file. It belongs to one goroutine.
type Writer struct{ file *os.File }

// The fields of an Event, of its Summary and of the Summary's values.
const (
	fieldWallTime    = 1
	fieldStep        = 2
	fieldFileVersion = 3
	fieldSummary     = 5

	fieldValue = 1

	fieldTag         = 1
	fieldSimpleValue = 2
)

const fileVersion = "brain.Event:2"

// maxRecord bounds a record in bytes: Write makes shorter records, so that a longer one is damage.
const maxRecord = 1 << 20

// Append opens or creates an event file and appends to it. It cuts the file off at the first record that is damaged, or
// for whose step and first tag keep returns false.
func Append(path string, keep func(step int64, tag string) bool) (*Writer, error) {
	f, err := regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: f}
	if err := w.cut(keep); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func (w *Writer) cut(keep func(int64, string) bool) error {
	r := bufio.NewReader(w.file)
	var end int64
	for {
		data, err := readRecord(r)
		if errors.Is(err, errDamaged) {
			break
		}
		if err != nil {
			return err
		}
		step, tag, err := parse(data)
		if err != nil || tag != "" && !keep(step, tag) {
			break
		}
		end += int64(len(data)) + 16
	}
	if err := w.file.Truncate(end); err != nil {
		return err
	}
	if _, err := w.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	if end > 0 {
		return nil
	}
	version := protowire.AppendTag(event(0, time.Now()), fieldFileVersion, protowire.BytesType)
	return w.record(protowire.AppendString(version, fileVersion))
}

// Write appends one record.
func (w *Writer) Write(step int64, at time.Time, scalars []Scalar) error {
	var summary []byte
	for _, s := range scalars {
		var value []byte
		value = protowire.AppendTag(value, fieldTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, fieldSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(s.Value))
		summary = protowire.AppendTag(summary, fieldValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := protowire.AppendTag(event(step, at), fieldSummary, protowire.BytesType)
	return w.record(protowire.AppendBytes(b, summary))
}

// Sync makes the written records survive a power cut.
func (w *Writer) Sync() error { return w.file.Sync() }

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

func event(step int64, at time.Time) []byte {
	var b []byte
	b = protowire.AppendTag(b, fieldWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixNano())/1e9))
	b = protowire.AppendTag(b, fieldStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

// record writes at once, so that a kill tears the last record at most.
func (w *Writer) record(data []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, checksum(data))
	_, err := w.file.Write(b)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the masked CRC-32C (tensorflow/core/lib/hash/crc32c.h).
func checksum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// errDamaged says that no whole record follows, at the end of the file too.
var errDamaged = errors.New("damaged record")

func readRecord(r io.Reader) ([]byte, error) {
	head, err := readFull(r, 12)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head)
	if checksum(head[:8]) != binary.LittleEndian.Uint32(head[8:]) || n > maxRecord {
		return nil, errDamaged
	}
	data, err := readFull(r, int(n)+4)
	if err != nil {
		return nil, err
	}
	if checksum(data[:n]) != binary.LittleEndian.Uint32(data[n:]) {
		return nil, errDamaged
	}
	return data[:n], nil
}

func readFull(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errDamaged
	}
	return b, err
}

// parse returns an event's step and the tag of its first value, empty where it has none.
func parse(b []byte) (step int64, tag string, err error) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, "", protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case field == fieldStep && kind == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return 0, "", protowire.ParseError(n)
			}
			step = int64(v)
		case field == fieldSummary && kind == protowire.BytesType:
			summary, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return 0, "", protowire.ParseError(n)
			}
			value, err := bytesField(summary, fieldValue)
			if err != nil {
				return 0, "", err
			}
			name, err := bytesField(value, fieldTag)
			if err != nil {
				return 0, "", err
			}
			tag = string(name)
		}
		n = protowire.ConsumeFieldValue(field, kind, b)
		if n < 0 {
			return 0, "", protowire.ParseError(n)
		}
		b = b[n:]
	}
	return step, tag, nil
}

// bytesField returns the first field of that number, nil where there is none.
func bytesField(b []byte, number protowire.Number) ([]byte, error) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
		if field == number && kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return nil, protowire.ParseError(n)
			}
			return v, nil
		}
		n = protowire.ConsumeFieldValue(field, kind, b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil, nil
}
