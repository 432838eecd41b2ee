package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	sumName   = `"crc32c":"`
	sumLength = len(sumName) + 8 + len(`"}`)
)

// Seal returns the line, with its end, of record n of an append-only file: the value's JSON, which must be an object,
// with a last member "crc32c", the CRC-32C of n (8 bytes, little-endian, from 0) and the JSON without that member. So a
// record that is changed, cut, lost, doubled or moved is found.
func Seal(n int, value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("%T is not an object in JSON", value)
	}
	sum := checksum(n, body)
	line := body[:len(body)-1]
	if len(line) > 1 {
		line = append(line, ',')
	}
	return fmt.Appendf(line, "%s%08x\"}\n", sumName, sum), nil
}

// Unseal returns the JSON of record n without its checksum, and false if the checksum does not match. line excludes the
// end of the line.
func Unseal(n int, line []byte) ([]byte, bool) {
	at := len(line) - sumLength
	if at < 1 || !bytes.HasPrefix(line[at:], []byte(sumName)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return nil, false
	}
	end := at
	if at > 1 { // more than the brace
		if end--; line[end] != ',' {
			return nil, false
		}
	}
	body := append(line[:end:end], '}') // a copy
	var sum [8]byte
	hex.Encode(sum[:], binary.BigEndian.AppendUint32(nil, checksum(n, body)))
	return body, bytes.Equal(line[at+len(sumName):len(line)-2], sum[:])
}

func checksum(n int, body []byte) uint32 {
	number := binary.LittleEndian.AppendUint64(nil, uint64(n))
	return crc32.Update(crc32.Checksum(number, castagnoli), castagnoli, body)
}
