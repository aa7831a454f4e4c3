package baresip

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// configText takes: SIP address, calls at once, tone file, RTCP beside RTP or not, first and last RTP port, interface, modules,
// the recorder's module, control port, directory of recordings. ausine does 48 kHz only, hence a file;
// there is no player, sndfile records what a player would get.
const configText = `poll_method epoll
sip_listen %s
call_local_timeout 120
call_max_calls %d
audio_player none,none
audio_source aufile,%s
audio_alert none,none
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_txmode poll
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtcp_mux %s
rtp_ports %d-%d
net_interface %s
jitter_buffer_type fixed
jitter_buffer_delay 5-10
rtp_stats yes
module_path %s
module g711.so
module g722.so
module gsm.so
module opus.so
module aufile.so
module srtp.so
module ice.so
module dtls_srtp.so
%smodule_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:%d
snd_path %s
`

// rtpPorts a baresip needs for its calls.
func (c Config) rtpPorts() int { return max(40, 4*c.Load) }

// sourceLength is how long the tone lasts that a baresip sends.
const sourceLength = 60 * time.Second

func (c Config) write(sip netip.AddrPort, control, rtp uint16) error {
	modulePath, err := modules()
	if err != nil {
		return err
	}
	source := filepath.Join(c.Dir, "source.wav")
	if err := tone.WriteWAV(source, tone.Sine(cmp.Or(c.ToneHz, 1), sourceLength)); err != nil {
		return err
	}
	recorder := "module sndfile.so\n"
	if c.Load > 0 {
		recorder = ""
	}
	mux := "no"
	if c.Account.NAT == "ice" {
		mux = "yes" // one pair for both
	}
	config := fmt.Sprintf(configText, sip, max(10, c.Load), source, mux, rtp, int(rtp)+c.rtpPorts()-1, cmp.Or(c.Account.Interface, "127.0.0.1"), modulePath, recorder, control, c.Dir)
	if err := os.WriteFile(filepath.Join(c.Dir, "config"), []byte(config), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Dir, "accounts"), []byte(c.Account.line(sip)), 0o600)
}

// line is the account in baresip's own words.
func (a Account) line(sip netip.AddrPort) string {
	host, interval := a.Host, 60
	if !a.Register {
		interval = 0
	}
	if host == "" {
		host = sip.String()
	}
	codecs := "PCMU/8000,PCMA/8000"
	if len(a.Codecs) > 0 {
		codecs = strings.Join(a.Codecs, ",")
	}
	mode := "manual"
	if a.AutoAnswer {
		mode = "auto"
	}
	transport := ""
	if a.Transport != "" {
		transport = ";transport=" + a.Transport
	}
	encryption := ""
	if a.Encryption != "" {
		encryption = ";mediaenc=" + a.Encryption
	}
	outbound := ""
	if a.Server != "" {
		outbound = fmt.Sprintf(`;outbound="sip:%s%s"`, a.Server, transport)
	}
	nat := ""
	if a.NAT != "" {
		nat = ";medianat=" + a.NAT
	}
	return fmt.Sprintf("<sip:%s@%s%s>;auth_user=%s;auth_pass=%s;regint=%d;answermode=%s;audio_codecs=%s%s%s%s\n",
		a.User, host, transport, a.User, a.Password, interval, mode, codecs, encryption, nat, outbound)
}
