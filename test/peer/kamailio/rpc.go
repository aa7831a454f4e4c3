package kamailio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fifoName is the control FIFO in an instance's directory. A FIFO, because
// its answers have no size limit: a table of thousands of bindings passes,
// which it does over kamailio's datagram socket and kamcmd not.
const fifoName = "rpc.fifo"

// rpcTimeout bounds one call when its context sets no earlier end.
const rpcTimeout = 10 * time.Second

// rpcError is what kamailio answered instead of a result.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Message) }

// call makes one JSON-RPC call over the control FIFO and decodes its result
// into result, which may be nil.
func (r *Registrar) call(ctx context.Context, result any, method string, params ...any) error {
	if err := r.exchange(ctx, result, method, params); err != nil {
		return fmt.Errorf("kamailio: %s: %w", method, err)
	}
	return nil
}

func (r *Registrar) exchange(ctx context.Context, result any, method string, params []any) error {
	name := fmt.Sprintf("reply-%d", r.calls.Add(1))
	path := filepath.Join(r.dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("reply FIFO: %w", err)
	}
	defer os.Remove(path)
	// Opened for writing too: a FIFO without a writer would read as ended.
	reply, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer reply.Close()
	defer context.AfterFunc(ctx, func() { _ = reply.SetDeadline(time.Now()) })()
	if err := reply.SetDeadline(time.Now().Add(rpcTimeout)); err != nil {
		return err
	}

	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params, "reply_name": name})
	if err != nil {
		return err
	}
	if err := r.post(request); err != nil {
		return err
	}
	var response struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.NewDecoder(reply).Decode(&response); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if response.Error != nil {
		return response.Error
	}
	if response.Result == nil {
		return errors.New("answered without a result")
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(response.Result, result)
}

// post writes one request to the control FIFO; it fails at once when nobody
// reads it.
func (r *Registrar) post(request []byte) error {
	fifo, err := os.OpenFile(filepath.Join(r.dir, fifoName), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("not running: %w", err)
	}
	_, err = fifo.Write(append(request, '\n'))
	return errors.Join(err, fifo.Close())
}
