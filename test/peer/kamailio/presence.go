package kamailio

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// PublishMailbox tells those who subscribed to a mailbox what is in it (PUBLISH, RFC
// 3903, as a voicemail server sends it): that of a user at the registrar's address, or
// of user@domain. lines are of a message summary
// (RFC 3842 §5.2): "Messages-Waiting: yes", "Voice-Message: 1/0".
func (r *Registrar) PublishMailbox(ctx context.Context, user string, lines ...string) error {
	body := strings.Join(append(lines, ""), "\r\n")
	return r.publish(ctx, user, "message-summary", "application/simple-message-summary", body)
}

// publish sends one PUBLISH over UDP and waits for its 200.
func (r *Registrar) publish(ctx context.Context, user, event, mediaType, body string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", r.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	id := fmt.Sprintf("%s-%d", strings.ReplaceAll(conn.LocalAddr().String(), ":", "-"), time.Now().UnixNano())
	if !strings.Contains(user, "@") {
		user += "@" + r.Addr().String()
	}
	aor := "sip:" + user
	request := strings.Join([]string{
		"PUBLISH " + aor + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport", conn.LocalAddr(), id),
		"Max-Forwards: 70",
		"From: <" + aor + ">;tag=publisher",
		"To: <" + aor + ">",
		"Call-ID: " + id,
		"CSeq: 1 PUBLISH",
		"Event: " + event,
		"Expires: 600",
		"Content-Type: " + mediaType,
		fmt.Sprintf("Content-Length: %d", len(body)), "", body}, "\r\n")
	if err := conn.SetDeadline(time.Now().Add(rpcTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return fmt.Errorf("kamailio: PUBLISH of %s: %w", event, err)
	}
	if status, _, _ := strings.Cut(string(answer[:n]), "\r\n"); !strings.HasPrefix(status, "SIP/2.0 200") {
		return fmt.Errorf("kamailio: PUBLISH of %s answered by %q", event, status)
	}
	return nil
}
