package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Call is a call as an agent tells it; the fields are those of /statusz.
type Call struct {
	ID        string `json:"id"`
	Line      string `json:"line"`
	Direction string `json:"direction"`
	Remote    string `json:"remote"`
	State     string `json:"state"`
	Held      string `json:"held"`
	Codec     string `json:"codec"`
	RTP       struct {
		Sent     uint64   `json:"sent"`
		Received uint64   `json:"received"`
		Lost     uint64   `json:"lost"`
		JitterMs *float64 `json:"jitterMs"`
		RTTMs    *float64 `json:"rttMs"`
	} `json:"rtp"`
	DTMF  string   `json:"dtmf"`
	MOS   *float64 `json:"mos"`
	Heard *struct {
		FrequencyHz float64 `json:"frequencyHz"`
		LevelDBm0   float64 `json:"levelDbm0"`
	} `json:"heard"`
	SetupMs   *int64 `json:"setupMs"`
	Recording *struct {
		Problem string `json:"problem"`
	} `json:"recording"`
	End *End `json:"end"`
	raw json.RawMessage
}

// End is how a call ended.
type End struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// String tells the code once: a SIP reason begins with it, ours does not.
func (e *End) String() string {
	code := fmt.Sprint(e.Code)
	if strings.HasPrefix(e.Reason, code) {
		return e.Reason
	}
	return code + " " + e.Reason
}

// UnmarshalJSON keeps the agent's own words beside the fields shown here.
func (c *Call) UnmarshalJSON(b []byte) error {
	type plain Call
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	c.raw = append(json.RawMessage(nil), b...)
	return nil
}

// MarshalJSON gives the agent's own words, fields this program does not know included.
func (c Call) MarshalJSON() ([]byte, error) {
	if c.raw != nil {
		return c.raw, nil
	}
	type plain Call
	return json.Marshal(plain(c))
}

// callRequest is the body of POST /calls.
type callRequest struct {
	Line    string            `json:"line"`
	To      string            `json:"to"`
	Seconds int               `json:"seconds,omitempty"`
	DTMF    string            `json:"dtmf,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Confirm bool              `json:"confirm,omitempty"`
	ToneHz  float64           `json:"toneHz,omitempty"`
	Play    string            `json:"play,omitempty"`
	Record  bool              `json:"record,omitempty"`

	DialAction string `json:"dialAction,omitempty"`
	LateOffer  bool   `json:"lateOffer,omitempty"`
}

// calling is what the call command was asked for beside the call.
type calling struct {
	output string
	file   string // for the recording
	agent  string // URL of an agent run by hand
}

func callCommand() *cobra.Command {
	var t target
	var req callRequest
	var headers []string
	var how calling
	cmd := &cobra.Command{
		Use:   "call ACCOUNT TARGET",
		Short: "Place a call from a line and tell how it went",
		Long: `Place a call from the line of an account to a number or SIP URI, wait until it ends, and print what was measured.

TARGET may also be the name of another account of the namespace, or "voicemail" for the account's voiceMailNumber. The
account's rewriting rules apply to it. The exit code is 0 when the call was answered and packets came back, 1 when not.

A recording (--record FILE) is a stereo WAV: on the left what the line sent, on the right what came.`,
		Example: `  kubectl softphone call alice +15550100 --seconds 10
  kubectl softphone call alice bob --tone 1004
  kubectl softphone call alice bob --play 'wav(greeting.wav)'
  kubectl softphone call alice bob --record call.wav
  kubectl softphone call alice sip:echo@pbx.example.org --dtmf 1234# -o json
  kubectl softphone call alice bob --agent http://127.0.0.1:8080`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			req.Line, req.To, req.Record = args[0], args[1], how.file != ""
			if req.Headers, err = parseHeaders(headers); err != nil {
				return err
			}
			agent, err := how.reach(cmd.Context(), &t, &req)
			if err != nil {
				return err
			}
			defer agent.close()
			return agent.call(cmd.Context(), req, how, cmd.OutOrStdout())
		},
	}
	t.flags(cmd)
	cmd.Flags().IntVar(&req.Seconds, "seconds", 10, "length of the call, from its answer")
	cmd.Flags().StringVar(&req.DTMF, "dtmf", "", "digits to send after the answer")
	cmd.Flags().Float64Var(&req.ToneHz, "tone", 0, "frequency in Hz of a test tone to send (default: silence)")
	cmd.Flags().StringVar(&req.Play, "play", "", "call tone to send, such as wav(greeting.wav) with a file of the fleet's prompts")
	cmd.Flags().BoolVar(&req.Confirm, "confirm", false, "place the call even when a rewriting rule asks for confirmation")
	cmd.Flags().StringVar(&req.DialAction, "dial-action", "", "how to call: voiceCall, callThrough, openUrl ... (default: autoCall)")
	cmd.Flags().BoolVar(&req.LateOffer, "late-offer", false, "leave the offer to the called side: an INVITE without a description")
	cmd.Flags().StringArrayVar(&headers, "header", nil, "header of the INVITE, as Name=value (repeatable)")
	cmd.Flags().StringVar(&how.file, "record", "", "file to write a recording of the call to")
	cmd.Flags().StringVar(&how.agent, "agent", "", "URL of an agent's control listener, for agents run by hand")
	cmd.Flags().StringVarP(&how.output, "output", "o", "", "json for programs")
	return cmd
}

// errNoAudio and errNotAnswered are the verdicts that make the command exit 1.
var (
	errNotAnswered = errors.New("the call was not answered")
	errNoAudio     = errors.New("the call was answered, but no audio came back")
)

// reach opens the agent that carries the line, and turns the name of an account into its address.
func (how calling) reach(ctx context.Context, t *target, req *callRequest) (*link, error) {
	if how.agent != "" {
		return byHand(how.agent), nil
	}
	s, err := t.connect()
	if err != nil {
		return nil, err
	}
	from, err := s.account(ctx, req.Line)
	if err != nil {
		return nil, err
	}
	if to, err := s.account(ctx, req.To); err == nil {
		req.To = addressOf(to)
	}
	return s.agentOf(ctx, from)
}

// call places a call, waits for its end, and tells of it. A recording's file appears whole, or not at all.
func (l *link) call(ctx context.Context, req callRequest, how calling, w io.Writer) error {
	var draft *os.File
	if how.file != "" {
		var err error
		if draft, err = os.CreateTemp(filepath.Dir(how.file), ".recording-*"); err != nil {
			return fmt.Errorf("--record: %w", err) // before anybody's telephone rings
		}
		defer func() { _, _ = draft.Close(), os.Remove(draft.Name()) }()
	}
	var placed struct {
		ID string `json:"id"`
	}
	if err := l.do(ctx, "POST", "/calls", req, &placed); err != nil {
		return err
	}
	call, err := l.follow(ctx, placed.ID)
	if err != nil {
		return err
	}
	if how.output == "json" {
		err = json.NewEncoder(w).Encode(call)
	} else {
		err = printCalls(w, []Call{call})
	}
	if draft != nil {
		err = errors.Join(err, l.keepRecording(ctx, call, draft, how.file))
	}
	return errors.Join(err, verdict(call))
}

// keepRecording writes a call's recording to a draft, and makes that the file.
func (l *link) keepRecording(ctx context.Context, c Call, draft *os.File, file string) error {
	err := l.download(ctx, "/calls/"+url.PathEscape(c.ID)+"/recording", draft)
	switch {
	case err != nil && c.Recording != nil && c.Recording.Problem != "":
		return fmt.Errorf("the call was not recorded: %s", c.Recording.Problem)
	case err != nil:
		return fmt.Errorf("the call's recording: %w", err)
	}
	if err := errors.Join(draft.Chmod(0o644), draft.Close(), os.Rename(draft.Name(), file)); err != nil {
		return fmt.Errorf("the call's recording: %w", err)
	}
	if c.Recording != nil && c.Recording.Problem != "" {
		return fmt.Errorf("the call's recording is not whole: %s", c.Recording.Problem)
	}
	return nil
}

// addressOf is what to dial to reach an account of our own.
func addressOf(a *voipv1.SoftphoneAccount) string { return "sip:" + a.Status.Address }

// verdict judges a finished call as far as a caller can.
func verdict(c Call) error {
	switch {
	case c.SetupMs == nil && c.End != nil:
		return fmt.Errorf("%w: %s", errNotAnswered, c.End)
	case c.RTP.Received == 0:
		return errNoAudio
	}
	return nil
}

// follow reads a call until it has ended. An interrupt hangs it up.
func (l *link) follow(ctx context.Context, id string) (Call, error) {
	path := "/calls/" + url.PathEscape(id)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		var c Call
		if err := l.do(ctx, "GET", path, nil, &c); err != nil {
			return c, err
		}
		if c.End != nil {
			return c, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			hangup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return c, errors.Join(ctx.Err(), l.do(hangup, "DELETE", path, nil, nil))
		}
	}
}

func printCalls(w io.Writer, calls []Call) error {
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "LINE\tDIRECTION\tREMOTE\tSTATE\tCODEC\tSENT\tRECEIVED\tLOST\tJITTER\tRTT\tMOS\tHEARD\tEND")
	for _, c := range calls {
		heard, end := "-", "-"
		if c.Heard != nil {
			heard = fmt.Sprintf("%.0f Hz, %.0f dBm0", c.Heard.FrequencyHz, c.Heard.LevelDBm0)
		}
		if c.End != nil {
			end = fmt.Sprintf("%s (%s)", c.End, c.End.By)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", c.Line, c.Direction, c.Remote, c.State, cmp.Or(c.Codec, "-"),
			c.RTP.Sent, c.RTP.Received, c.RTP.Lost, measured("%.1f ms", c.RTP.JitterMs), measured("%.1f ms", c.RTP.RTTMs), measured("%.2f", c.MOS), heard, end)
	}
	return table.Flush()
}

// measured formats a figure that is absent until it was measured.
func measured(format string, v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func parseHeaders(args []string) (map[string]string, error) {
	headers := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--header %q is not Name=value", arg)
		}
		headers[name] = value
	}
	return headers, nil
}
