package torchsave

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
)

// The bounds of a pickle. The description of ten thousand tensors is a tenth of them.
const (
	maxPickle = 32 << 20 // bytes
	maxStack  = 1 << 20  // values on the stack
	maxMemo   = 1 << 20  // values that later operations can refer to
	maxName   = 256      // bytes of a global's module or name
)

// The values of a pickle, beside nil, bool, int64, float64 and string.
type (
	tuple      []any
	list       struct{ items []any }
	dictionary struct{ entries []entry }
	function   string // a global that may be called
	element    string // the type of a storage's values, by its name in safetensors
)

type entry struct{ key, value any }

const (
	orderedDict      function = "collections.OrderedDict"
	rebuildTensor    function = "torch._utils._rebuild_tensor_v2"
	rebuildParameter function = "torch._utils._rebuild_parameter"
)

// globals are the only ones that a pickle may name.
var globals = map[string]any{
	string(orderedDict): orderedDict, string(rebuildTensor): rebuildTensor, string(rebuildParameter): rebuildParameter,
	"torch.DoubleStorage": element("F64"), "torch.FloatStorage": element("F32"), "torch.HalfStorage": element("F16"),
	"torch.BFloat16Storage": element("BF16"), "torch.LongStorage": element("I64"), "torch.IntStorage": element("I32"),
	"torch.ShortStorage": element("I16"), "torch.CharStorage": element("I8"), "torch.ByteStorage": element("U8"),
	"torch.BoolStorage": element("BOOL"),
}

// unpickler computes one pickle. The first error stays in err, and the value of a failed operation is nil.
type unpickler struct {
	r     *bufio.Reader
	left  int64 // bytes that may still be read
	stack []any
	marks []int // heights of the stack
	memo  map[uint32]any
	err   error

	// storage returns the storage that a persistent id describes.
	storage func(id tuple) (*storage, error)
}

// unpickle computes the pickle at the start of r, which has size bytes. It returns the pickle's length too.
func unpickle(r io.Reader, size int64, storage func(tuple) (*storage, error)) (value any, length int64, err error) {
	limit := min(size, maxPickle)
	u := &unpickler{r: bufio.NewReader(r), left: limit, memo: map[uint32]any{}, storage: storage}
	for {
		op := u.byte()
		if u.err == nil && op == '.' {
			value = u.pop()
			break
		}
		if u.err == nil {
			u.step(op)
		}
		if len(u.stack) > maxStack || len(u.memo) > maxMemo {
			u.fail("more than %d values at a time", maxStack)
		}
		if u.err != nil {
			break
		}
	}
	if errors.Is(u.err, io.ErrUnexpectedEOF) && limit == maxPickle {
		u.err = fmt.Errorf("more than %d bytes", maxPickle)
	}
	if u.err != nil {
		return nil, 0, fmt.Errorf("pickle: byte %d: %w", limit-u.left, u.err)
	}
	return value, limit - u.left, nil
}

func (u *unpickler) fail(format string, a ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, a...)
	}
}

// step computes one operation of pickle's protocol 2.
func (u *unpickler) step(op byte) {
	switch op {
	case 0x80:
		if p := u.byte(); u.err == nil && p != 2 && p != 3 {
			u.fail("protocol %d; 2 and 3 are supported: save the file with torch.save without pickle_protocol", p)
		}
	case '(':
		u.marks = append(u.marks, len(u.stack))
		if len(u.marks) > maxStack {
			u.fail("more than %d marks", maxStack)
		}
	case 'N':
		u.push(nil)
	case 0x88, 0x89:
		u.push(op == 0x88)
	case 'K':
		u.push(int64(u.byte()))
	case 'M':
		u.push(int64(binary.LittleEndian.Uint16(u.bytes(2))))
	case 'J':
		u.push(int64(int32(u.uint32())))
	case 0x8a:
		u.push(u.long())
	case 'G':
		u.push(math.Float64frombits(binary.BigEndian.Uint64(u.bytes(8))))
	case 'X':
		u.push(string(u.bytes(int64(u.uint32()))))
	case 'c':
		u.global()
	case 'q':
		u.remember(uint32(u.byte()))
	case 'r':
		u.remember(u.uint32())
	case 'h':
		u.recall(uint32(u.byte()))
	case 'j':
		u.recall(u.uint32())
	case ')':
		u.push(tuple{})
	case 0x85, 0x86, 0x87:
		u.push(tuple(u.popN(int(op - 0x84))))
	case 't':
		u.push(tuple(u.popMark()))
	case ']':
		u.push(&list{})
	case '}':
		u.push(&dictionary{})
	case 'a':
		u.append(u.popN(1))
	case 'e':
		u.append(u.popMark())
	case 's':
		u.set(u.popN(2))
	case 'u':
		u.set(u.popMark())
	case 'Q':
		u.persistent()
	case 'R':
		u.call()
	case 'b':
		// The attributes of a dictionary, such as _metadata of a state_dict, say nothing about its tensors.
		u.pop()
		if _, ok := u.top().(*dictionary); !ok {
			u.fail("sets the attributes of something that is no dictionary")
		}
	default:
		u.fail("operation %q is not supported: a dictionary of tensors does not need it", rune(op))
	}
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pop() any { return u.popN(1)[0] }

// popN returns n values, all nil after an error.
func (u *unpickler) popN(n int) []any {
	if height := len(u.stack); height >= n && (len(u.marks) == 0 || u.marks[len(u.marks)-1] <= height-n) {
		values := slices.Clone(u.stack[height-n:])
		u.stack = u.stack[:height-n]
		return values
	}
	u.fail("takes more values than there are")
	return make([]any, n)
}

// popMark returns the values above the last mark.
func (u *unpickler) popMark() []any {
	if len(u.marks) == 0 {
		u.fail("takes values up to a mark, but there is none")
		return nil
	}
	mark := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	return u.popN(len(u.stack) - mark)
}

func (u *unpickler) top() any {
	if len(u.stack) == 0 {
		return nil
	}
	return u.stack[len(u.stack)-1]
}

func (u *unpickler) remember(key uint32) {
	if len(u.stack) == 0 {
		u.fail("remembers a value, but there is none")
		return
	}
	u.memo[key] = u.top()
}

func (u *unpickler) recall(key uint32) {
	v, ok := u.memo[key]
	if !ok {
		u.fail("recalls value %d, which was not remembered", key)
	}
	u.push(v)
}

func (u *unpickler) append(values []any) {
	l, ok := u.top().(*list)
	if !ok {
		u.fail("appends to something that is no list")
		return
	}
	l.items = append(l.items, values...)
}

func (u *unpickler) set(values []any) {
	d, ok := u.top().(*dictionary)
	if !ok || len(values)%2 != 0 {
		u.fail("sets an item of something that is no dictionary")
		return
	}
	for i := 0; i < len(values); i += 2 {
		d.entries = append(d.entries, entry{values[i], values[i+1]})
	}
}

func (u *unpickler) global() {
	name := u.line() + "." + u.line()
	if u.err != nil {
		return
	}
	v, ok := globals[name]
	if !ok {
		u.fail("names the global %q, which a dictionary of tensors does not need; nothing of it was run", name)
		return
	}
	u.push(v)
}

func (u *unpickler) persistent() {
	id, ok := u.pop().(tuple)
	if !ok {
		u.fail("a persistent id is no tuple")
		return
	}
	s, err := u.storage(id)
	if err != nil {
		u.fail("%w", err)
		return
	}
	u.push(s)
}

func (u *unpickler) call() {
	args, isTuple := u.pop().(tuple)
	f, isFunction := u.pop().(function)
	if !isTuple || !isFunction {
		u.fail("calls something that is no function")
		return
	}
	v, err := f.call(args)
	if err != nil {
		u.fail("%s: %w", f, err)
		return
	}
	u.push(v)
}

func (f function) call(args tuple) (any, error) {
	switch {
	case f == orderedDict && len(args) == 0:
		return &dictionary{}, nil
	case f == rebuildTensor && len(args) >= 4:
		return newTensor(args[0], args[1], args[2], args[3])
	case f == rebuildParameter && len(args) >= 1:
		if t, ok := args[0].(*tensor); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%d arguments of this kind are not supported", len(args))
}

func (u *unpickler) byte() byte { return u.bytes(1)[0] }

func (u *unpickler) uint32() uint32 { return binary.LittleEndian.Uint32(u.bytes(4)) }

// bytes returns the next n bytes; after an error at most eight of them, zero.
func (u *unpickler) bytes(n int64) []byte {
	if u.err == nil && n > u.left {
		u.err = io.ErrUnexpectedEOF
	}
	if u.err != nil {
		return make([]byte, min(n, 8))
	}
	u.left -= n
	b := make([]byte, n)
	if _, err := io.ReadFull(u.r, b); err != nil {
		u.err = err
		if errors.Is(err, io.EOF) {
			u.err = io.ErrUnexpectedEOF
		}
	}
	return b
}

func (u *unpickler) line() string {
	var line []byte
	for u.err == nil {
		c := u.byte()
		if c == '\n' {
			break
		}
		if line = append(line, c); len(line) > maxName {
			u.fail("a name of more than %d bytes", maxName)
		}
	}
	return string(line)
}

// long reads an integer of up to 8 bytes; the magic number of old files alone is longer, and is a string here.
func (u *unpickler) long() any {
	b := u.bytes(int64(u.byte()))
	if len(b) > 8 {
		slices.Reverse(b)
		return new(big.Int).SetBytes(b).String()
	}
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1] >= 0x80 {
		v |= math.MaxUint64 << (8 * n)
	}
	return int64(v)
}
