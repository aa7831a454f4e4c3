package media

// Bounds of the bookkeeping of bursts.
const (
	gapMin      = 16  // RFC 3611 §4.7.2: so many packets in a row that were played end a burst
	burstWindow = 128 // packets that may still come, or be thrown away; more than the playout holds
)

// fate is what became of a packet of the peer.
type fate uint8

const (
	missing fate = iota
	came
	thrownAway
)

// bursts keeps apart the bursts and the gaps of RFC 3611 §4.7.2 in what is received. A burst is the longest stretch that begins and
// ends with a packet that was not played, lost or discarded, and has nowhere gapMin packets in a row that were; everything else is
// a gap. What became of a packet is settled burstWindow packets later. It allocates nothing.
type bursts struct {
	any        bool
	next, high int64 // the first number that is not settled, the highest that came
	fates      [burstWindow]fate
	tally      tally
}

// came notes that a packet came, by its extended sequence number.
func (b *bursts) came(seq int64) {
	switch {
	case !b.any:
		b.any, b.next, b.high = true, seq, seq
	case seq < b.next && b.tally.packets == 0 && b.high-seq < burstWindow:
		b.next = seq // the first packets came out of order
	case seq < b.next:
		return // too late to be told from a lost one
	}
	for ; seq-b.next >= burstWindow; b.next++ {
		b.settle()
	}
	b.fates[seq%burstWindow] = came
	b.high = max(b.high, seq)
}

// discarded notes that a packet that came was not played.
func (b *bursts) discarded(seq int64) {
	if b != nil && b.any && seq >= b.next && seq <= b.high {
		b.fates[seq%burstWindow] = thrownAway
	}
}

// settle decides on the next packet.
func (b *bursts) settle() {
	f := &b.fates[b.next%burstWindow]
	b.tally.count(*f == came)
	*f = missing
}

// anew settles everything, and begins with the numbers of another source.
func (b *bursts) anew() {
	for ; b.any && b.next <= b.high; b.next++ {
		b.settle()
	}
	b.tally.close()
	b.any = false
}

// sum is what there was up to now.
func (b *bursts) sum() tally {
	copied := *b
	copied.anew()
	return copied.tally
}

// tally counts packets in the order in which they were sent.
type tally struct {
	packets, unplayed int64 // all of them, and those that were not played
	runs              int64 // of packets in a row that were not played

	first, last int64 // of what may become a burst, counted from 1
	within      int64 // unplayed in it; 0 = there is none
	good        int64 // played since the last that was not

	bursts, burstPackets, burstUnplayed int64
	firstBurst, lastBurst               int64 // where the first begins and the last ends
}

// count takes the next packet.
func (t *tally) count(played bool) {
	t.packets++
	if played {
		if t.good++; t.good == gapMin {
			t.close()
		}
		return
	}
	if t.unplayed++; t.good > 0 || t.packets == 1 {
		t.runs++
	}
	if t.within == 0 {
		t.first = t.packets
	}
	t.within, t.last, t.good = t.within+1, t.packets, 0
}

// close ends what may be a burst: one packet alone is none.
func (t *tally) close() {
	if t.within > 1 {
		if t.bursts == 0 {
			t.firstBurst = t.first
		}
		t.bursts, t.lastBurst = t.bursts+1, t.last
		t.burstPackets, t.burstUnplayed = t.burstPackets+t.last-t.first+1, t.burstUnplayed+t.within
	}
	t.within = 0
}

// gaps is how many stretches outside bursts there are.
func (t *tally) gaps() int64 {
	if t.bursts == 0 {
		return min(t.packets, 1)
	}
	n := t.bursts - 1
	if t.firstBurst > 1 {
		n++
	}
	if t.lastBurst < t.packets {
		n++
	}
	return n
}

// densities are the parts of the packets within bursts, and within gaps, that were not played; 0..1.
func (t *tally) densities() (burst, gap float64) {
	return share(t.burstUnplayed, t.burstPackets), share(t.unplayed-t.burstUnplayed, t.packets-t.burstPackets)
}

// lengths are how many packets a burst, and a gap, has on average.
func (t *tally) lengths() (burst, gap float64) {
	return share(t.burstPackets, t.bursts), share(t.packets-t.burstPackets, t.gaps())
}

// ratio is BurstR of ITU-T G.107 §7.5: how long losses in a row are, against how long they would be if they were independent of one
// another. 1 while nothing is lost.
func (t *tally) ratio() float64 {
	if t.runs == 0 {
		return 1
	}
	return max(share(t.unplayed, t.runs)*(1-share(t.unplayed, t.packets)), 1)
}

func share(of, all int64) float64 {
	if all == 0 {
		return 0
	}
	return float64(of) / float64(all)
}
