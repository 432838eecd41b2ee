package tokenizer

import (
	"strconv"
	"strings"
)

// decoding says how tokens encode bytes.
type decoding struct {
	alphabet bool   // tokens are written in the byte alphabet
	space    string // the sign for a space; "": none
	fallback bool   // <0x0A> is a byte
	strip    bool   // the encoder puts a space in front of the text
}

func (d decoding) bytes(token string) string {
	if d.alphabet {
		if raw, ok := fromByteAlphabet(token); ok {
			return raw
		}
		return token
	}
	if b, ok := fallbackByte(token); ok && d.fallback {
		return string([]byte{b})
	}
	if d.space != "" {
		return strings.ReplaceAll(token, d.space, " ")
	}
	return token
}

// fallbackByte reads a token like <0x0A>.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}
