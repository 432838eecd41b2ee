package httpretry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Stream sends a request without a body and calls handle with an answer of status 2xx or 3xx whose body is unread. It
// calls request and handle at every attempt, so that request can ask for the rest of a file. It tries again as Do does,
// also where reading the body fails in handle. Any other error of handle is final.
func (c *Client) Stream(ctx context.Context, request func(context.Context) (*http.Request, error),
	handle func(*http.Response) error,
) error {
	_, err := retry(ctx, c, func(number int, waits *waits) (struct{}, error) {
		return struct{}{}, c.stream(ctx, request, handle, number, waits)
	})
	return err
}

func (c *Client) stream(ctx context.Context, request func(context.Context) (*http.Request, error),
	handle func(*http.Response) error, number int, waits *waits,
) error {
	waits.atLeast = 0
	release, err := c.admit(ctx)
	if err != nil {
		return backoff.Permanent(err)
	}
	defer release()
	if number > 1 {
		c.retries.Add(1)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errIdle := fmt.Errorf("the server sent nothing for %s", c.options.Timeout)
	idle := time.AfterFunc(c.options.Timeout, func() { cancel(errIdle) })
	defer idle.Stop()

	req, err := request(ctx)
	if err != nil {
		return backoff.Permanent(err)
	}
	c.authorize(req)
	resp, err := c.http.Do(req)
	if err != nil {
		if context.Cause(ctx) == errIdle {
			err = errIdle
		}
		return c.failure(req, err, isFinal(err))
	}
	defer resp.Body.Close()
	body := &streamed{body: resp.Body, idle: idle, timeout: c.options.Timeout}
	if resp.StatusCode/100 != 2 && resp.StatusCode/100 != 3 {
		answer, _ := io.ReadAll(io.LimitReader(body, maxBody)) // the status matters more
		return c.statusFailure(req, resp, answer, waits)
	}
	resp.Body = body
	if err := handle(resp); err != nil {
		if body.err != nil && context.Cause(ctx) == errIdle {
			err = errIdle
		}
		return c.failure(req, err, body.err == nil)
	}
	return nil
}

// streamed is a body that puts the idle timer off and remembers why reading failed.
type streamed struct {
	body    io.ReadCloser
	idle    *time.Timer
	timeout time.Duration
	err     error
}

func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if n > 0 {
		s.idle.Reset(s.timeout)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *streamed) Close() error { return s.body.Close() }
