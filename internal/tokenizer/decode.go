package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/strictjson"
)

// decoding says what bytes the tokens stand for.
type decoding struct {
	alphabet bool   // tokens are written in the byte alphabet
	space    string // what is written for a space, "" where it is written as it is
	fallback bool   // <0x0A> is a byte
	strip    bool   // a space in front of the text was put there by the encoder
}

// setRaw computes the bytes of each token; the added ones stand for the text that is looked for.
func (t *Tokenizer) setRaw(d decoding, added map[int32]string) {
	t.strip = d.strip
	t.raw = make([]string, len(t.tokens))
	for id, token := range t.tokens {
		text, ok := added[int32(id)]
		if !ok {
			text = d.bytes(token)
		}
		t.raw[id] = text
	}
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

// decoder reads the decoder section, of which only what changes a token's bytes is of use.
func (d *description) decoder(section json.RawMessage) error {
	if isNull(section) {
		d.decoding.alphabet = d.decoding.alphabet || d.byteLevel
		return nil
	}
	var j struct {
		Type           string            `json:"type"`
		Decoders       []json.RawMessage `json:"decoders"`
		Replacement    string            `json:"replacement"`
		PrependScheme  string            `json:"prepend_scheme"`
		AddPrefixSpace *bool             `json:"add_prefix_space"`
		Pattern        jsonPattern       `json:"pattern"`
		Content        string            `json:"content"`
		Start          int               `json:"start"`
		Stop           int               `json:"stop"`

		// What changes no token's bytes.
		Prefix      *string `json:"prefix"`
		Cleanup     *bool   `json:"cleanup"`
		Split       *bool   `json:"split"`
		StrRep      *string `json:"str_rep"`
		TrimOffsets *bool   `json:"trim_offsets"`
		UseRegex    *bool   `json:"use_regex"`
	}
	if err := strictjson.UnmarshalKnown(section, &j); err != nil {
		return err
	}
	switch j.Type {
	case "Sequence":
		return d.inSequence(j.Decoders, d.decoder)
	case "ByteLevel":
		d.decoding.alphabet = true
	case "ByteFallback":
		d.decoding.fallback = true
	case "Fuse", "WordPiece": // nobody decodes WordPiece
	case "Metaspace":
		meta, err := newMetaspace(j.Replacement, j.PrependScheme, j.AddPrefixSpace)
		if err != nil {
			return err
		}
		d.decoding.space, d.decoding.strip = meta.sign, meta.prefix != "never"
	case "Replace":
		if j.Pattern.String == nil || j.Content != " " || d.decoding.space != "" {
			return fmt.Errorf("%s is not supported; only one string may be replaced, by a space", section)
		}
		d.decoding.space = *j.Pattern.String
	case "Strip":
		if j.Content != " " || j.Start > 1 || j.Stop != 0 {
			return fmt.Errorf("%s is not supported; only one space at the start may be stripped", section)
		}
		d.decoding.strip = j.Start == 1
	default:
		return unknownType(j.Type, "Sequence, WordPiece, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip")
	}
	return nil
}
