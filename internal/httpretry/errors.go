package httpretry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"github.com/retort-ir/retort/internal/strictjson"
)

// ErrMaxRequests says that the client has sent Options.MaxRequests.
var ErrMaxRequests = errors.New("the limit of requests is reached")

// StatusError is an answer with a status other than 2xx.
type StatusError struct {
	Code    int    // the HTTP status
	Message string // what the server said, cut, on one line; may be ""
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("HTTP %d %s", e.Code, http.StatusText(e.Code))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// TooLong says whether the server refused the request because a text in it is too long. Another attempt cannot help.
func (e *StatusError) TooLong() bool {
	switch e.Code {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity,
		http.StatusInternalServerError: // from llama.cpp
		return tooLong.MatchString(e.Message)
	}
	return false
}

// tooLong matches the messages of vLLM, text-embeddings-inference, llama.cpp, Cohere, Jina and OpenAI.
var tooLong = regexp.MustCompile(`(?i)too (?:long|large|many tokens)|` +
	`(?:longer|greater|larger|more) than [^.]{0,60}(?:length|limit|tokens?|context)|` +
	`(?:maximum|max\.?|available) (?:context|input|sequence|model|prompt|token)|` +
	`context[ _](?:length|size|window)|less than \d+ tokens|` +
	`exceed[^.]{0,60}(?:length|limit|size|tokens?|context|maximum)|token limit`)

// maxMessage is how many characters of a server's message an error holds.
const maxMessage = 300

func (c *Client) newStatusError(resp *http.Response, body []byte) *StatusError {
	e := &StatusError{Code: resp.StatusCode, Message: c.Message(body)}
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		e.Message = fmt.Sprintf("the server redirects to %s://%s%s: give the address of the server that answers itself",
			to.Scheme, to.Host, to.Path)
	}
	return e
}

// Message returns the server's error message without the key, on one line, and cut to what an error can hold.
func (c *Client) Message(body []byte) string { return c.Cut(message(body)) }

// Cut removes the key from a server's text, puts the text on one line and cuts it to what an error can hold.
func (c *Client) Cut(text string) string { return cut(c.redact(text)) }

// Redact returns the error without the key. Redact errors that quote a server's answer, since it may hold the key.
func (c *Client) Redact(err error) error { return redactError(err, c.redact) }

// message finds the message in the errors of OpenAI, Cohere, Jina, vLLM, llama.cpp and text-embeddings-inference.
func message(body []byte) string {
	var forms struct {
		Error   json.RawMessage `json:"error"` // {"message": ...} or a text
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"` // a text, or what is wrong with each field
	}
	if strictjson.Unmarshal(body, &forms) != nil {
		return string(body)
	}
	var inner struct {
		Message string `json:"message"`
	}
	if strictjson.Unmarshal(forms.Error, &inner) == nil && inner.Message != "" {
		return inner.Message
	}
	for _, form := range []json.RawMessage{forms.Error, forms.Message, forms.Detail} {
		var text string
		switch {
		case len(form) == 0 || string(form) == "null":
		case strictjson.Unmarshal(form, &text) == nil:
			return text
		default:
			return string(form)
		}
	}
	return string(body)
}

// cut puts a server's text on one line and cuts it to what an error can hold.
func cut(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, " "), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if runes := []rune(text); len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "..."
	}
	return text
}

// isOutOfMoney says whether a 429 means that the account is empty, so that waiting cannot help.
func isOutOfMoney(body []byte) bool {
	var form struct {
		Error struct {
			Code any `json:"code"`
			Type any `json:"type"`
		} `json:"error"`
	}
	const quota = "insufficient_quota"
	return strictjson.Unmarshal(body, &form) == nil && (form.Error.Code == quota || form.Error.Type == quota)
}
