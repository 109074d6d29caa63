// SPDX-License-Identifier: GPL-2.0-or-later
// Implements loss recovery by selective acknowledgements, which lwIP sends but does not use itself.
//
// lwIP repeats one segment per round trip, and waits for its timer if more were lost. This hook
// sees every segment before lwIP does, remembers what the peer holds (RFC 2018), finds what is lost
// (RFC 6675: three later segments have arrived) and moves that from lwIP's queue of sent segments
// to its queue of segments to send. A repeated segment that is lost again is found when three
// segments that were first sent after it have arrived (the idea of RFC 8985).
//
// If nothing comes back at all, because the last segments or their acknowledgement were lost, lwIP
// waits for its timer, 240 ms. After two round trips of silence this file repeats the first
// unacknowledged segment once, as a probe (RFC 8985, 7, repeats the last one).
#include <lwip/priv/tcp_priv.h>
#include <lwip/timeouts.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernel/base/containers.h"
#include "kernel/net/lwip/acknowledgement.h"
#include "kernel/net/lwip/interface.h"
#include "kernel/net/lwip/lwip_hooks.h"
#include "kernel/net/lwip/port.h"

namespace net {
namespace {

// Bits of tcp_seg::flags that lwIP does not use.
constexpr u8 kHeld = 0x40, kRepeated = 0x80;
constexpr u32 kBehind = 3;      // a segment is lost when this many later ones have arrived
constexpr u32 kMostAtOnce = 4;  // segments repeated for one acknowledgement
// ticks of lwIP's slow timer, below which its own variation never goes
constexpr i16 kLeastTicks = 3;
constexpr i16 kMostTicks = 100;
constexpr u8 kQuick = 16;  // segments acknowledged one by one after a repeated one

struct Recovery {
  bool active = false;
  u8 quick = 0;   // segments of the peer that must still be acknowledged at once
  u32 until = 0;  // recovery ends when this is acknowledged
  struct Repeat {
    u32 sequence, next_new;  // next_new: the first byte that had not been sent when it was repeated
  };
  StaticVector<Repeat, 64> repeats;

  // For the probe. Times are in ns; 0 means none.
  u64 round_trip = 0;    // smoothed
  u64 last_word = 0;     // when the program last sent or the peer last acknowledged
  u64 sample_start = 0;  // start of the round trip being measured: a segment sent after this
  u32 sample_end = 0;    // is acknowledged by a number after this
  u32 probe_end = 0;     // end of the probed segment
  bool probed = false;   // a probe was sent since the last word
  bool probe_out = false;
};

u32 first_of(const tcp_seg& s) {
  return lwip_ntohl(s.tcphdr->seqno);
}
u32 end_of(const tcp_seg& s) {
  return first_of(s) + TCP_TCPLEN(&s);
}

// Options may be in two pieces: after the header, and at `more`.
Blocks blocks_of(const tcp_hdr* header, u16 bytes, u16 in_first, const u8* more) {
  std::array<u8, 40> options{};
  usize count = std::min<usize>(bytes, options.size()), here = std::min<usize>(count, in_first);
  std::memcpy(options.data(), header + 1, here);
  if (count > here && more != nullptr) std::memcpy(options.data() + here, more, count - here);
  return read_blocks(std::span(options).first(count));
}

// The part of `unacked` that the peer holds.
struct Held {
  u32 segments = 0, bytes = 0;
  u32 top = 0;  // end of its last segment
};

Held mark_held(tcp_pcb& pcb, const Blocks& blocks) {
  Held held;
  for (tcp_seg* s = pcb.unacked; s != nullptr; s = s->next) {
    for (const Block& b : blocks)
      if (TCP_SEQ_GEQ(first_of(*s), b.left) && TCP_SEQ_LEQ(end_of(*s), b.right)) s->flags |= kHeld;
    if ((s->flags & kHeld) == 0) continue;
    held.segments++;
    held.bytes += s->len;
    held.top = end_of(*s);
  }
  return held;
}

bool lost_again(const Recovery& recovery, const tcp_seg& s, const Held& held, u32 mss) {
  for (const Recovery::Repeat& r : recovery.repeats)
    if (r.sequence == first_of(s)) return TCP_SEQ_GEQ(held.top, r.next_new + kBehind * mss);
  return false;
}

void note_repeat(Recovery& recovery, u32 sequence, u32 next_new) {
  for (Recovery::Repeat& r : recovery.repeats) {
    if (r.sequence != sequence) continue;
    r.next_new = next_new;
    return;
  }
  // If there is no room, a second loss is not noticed here, and lwIP's timer repeats the segment.
  static_cast<void>(recovery.repeats.push_back({sequence, next_new}));
}

// Inserts a segment in order into the queue from which lwIP sends next.
void queue_again(tcp_pcb& pcb, tcp_seg* s) {
  tcp_seg** place = &pcb.unsent;
  while (*place != nullptr && TCP_SEQ_LT(first_of(**place), first_of(*s))) place = &(*place)->next;
  s->next = *place;
  *place = s;
  if (s->next == nullptr) pcb.unsent_oversize = 0;
}

// Moves lost segments back and returns how many.
u32 repeat_lost(tcp_pcb& pcb, Recovery& recovery, const Held& held, u32 acknowledged) {
  u32 in_flight = 0;
  for (tcp_seg* s = pcb.unacked; s != nullptr; s = s->next) in_flight++;
  // With few segments in flight there will never be three after a lost one (RFC 5827).
  u32 needed = std::clamp(in_flight, u32{2}, kBehind + 1) - 1;
  u32 behind = held.segments, count = 0;
  for (tcp_seg** link = &pcb.unacked;
       *link != nullptr && behind >= needed && count < kMostAtOnce;) {
    tcp_seg* s = *link;
    bool here = TCP_SEQ_LEQ(end_of(*s), acknowledged);
    bool lost = !here && (s->flags & kHeld) == 0 && s->p->ref == 1 &&
                ((s->flags & kRepeated) == 0 || lost_again(recovery, *s, held, pcb.mss));
    if ((s->flags & kHeld) != 0) behind--;
    if (!lost) {
      link = &s->next;
      continue;
    }
    *link = s->next;
    s->flags |= kRepeated;
    note_repeat(recovery, first_of(*s), pcb.snd_nxt);
    queue_again(pcb, s);
    count++;
  }
  return count;
}

void forget(tcp_pcb& pcb, Recovery& recovery) {
  for (tcp_seg* list : {pcb.unacked, pcb.unsent})
    for (tcp_seg* s = list; s != nullptr; s = s->next)
      s->flags &= static_cast<u8>(~(kHeld | kRepeated));
  recovery.active = false;
  recovery.repeats.clear();
}

u8 slot() {
  static const u8 id = tcp_ext_arg_alloc_id();
  return id;
}

void destroy(u8, void* recovery) {
  base::Owner<Recovery> last(static_cast<Recovery*>(recovery));
}
constexpr tcp_ext_arg_callbacks kCallbacks = {destroy, nullptr};

// Returns null if memory is short; lwIP's own recovery is then used.
Recovery* recovery_of(tcp_pcb& pcb, bool wanted) {
  auto* found = static_cast<Recovery*>(tcp_ext_arg_get(&pcb, slot()));
  if (found != nullptr || !wanted) return found;
  Result<base::Owner<Recovery>> made = base::make<Recovery>();
  if (!made.has_value()) return nullptr;
  tcp_ext_arg_set_callbacks(&pcb, slot(), &kCallbacks);
  tcp_ext_arg_set(&pcb, slot(), made->get());
  return made->release();
}

// ---- the probe --------------------------------------------------------------------------------

constexpr u64 kNsPerMs = 1'000'000;
constexpr u64 kLeastWait = 10 * kNsPerMs;
// a peer may delay its acknowledgement to wait for a second segment
constexpr u64 kDelayedAnswer = 40 * kNsPerMs;
constinit bool probe_timer_runs = false;

u64 wait_before_probe(const tcp_pcb& pcb, const Recovery& recovery) {
  bool alone = pcb.unacked->next == nullptr;
  return std::max(2 * recovery.round_trip, kLeastWait) + (alone ? kDelayedAnswer : 0);
}

void send_probe(tcp_pcb& pcb, Recovery& recovery) {
  recovery.probed = true;
  tcp_seg** link = &pcb.unacked;
  while (*link != nullptr && ((*link)->flags & kHeld) != 0) link = &(*link)->next;
  tcp_seg* s = *link;
  if (s == nullptr || s->p->ref != 1) return;
  *link = s->next;
  s->flags |= kRepeated;
  note_repeat(recovery, first_of(*s), pcb.snd_nxt);
  recovery.probe_out = true;
  recovery.probe_end = end_of(*s);
  recovery.sample_start = 0;
  pcb.rttest = 0;
  queue_again(pcb, s);
  (void)tcp_output(&pcb);  // what cannot be sent now is left to lwIP's timer
}

void run_probes(void*) {
  probe_timer_runs = false;
  u64 now = port::now_ns(), next = ~u64{0};
  for (tcp_pcb* pcb = tcp_active_pcbs; pcb != nullptr; pcb = pcb->next) {
    Recovery* recovery = recovery_of(*pcb, false);
    if (recovery == nullptr || recovery->probed || recovery->round_trip == 0) continue;
    if (pcb->unacked == nullptr || pcb->nrtx > 0 || (pcb->flags & TF_RTO) != 0) continue;
    u64 due = recovery->last_word + wait_before_probe(*pcb, *recovery);
    if (due <= now)
      send_probe(*pcb, *recovery);
    else
      next = std::min(next, due);
  }
  if (next == ~u64{0}) return;
  probe_timer_runs = true;
  sys_timeout(static_cast<u32>((next - now) / kNsPerMs + 1), run_probes, nullptr);
}

// Data is in flight from now on, so an acknowledgement is expected.
void expect_word(tcp_pcb& pcb, Recovery& recovery) {
  recovery.last_word = port::now_ns();
  recovery.probed = false;
  if (recovery.sample_start == 0) {
    recovery.sample_start = recovery.last_word;
    recovery.sample_end = pcb.snd_nxt;
  }
  if (probe_timer_runs) return;
  probe_timer_runs = true;
  sys_timeout(static_cast<u32>(kLeastWait / kNsPerMs), run_probes, nullptr);
}

void take_round_trip(Recovery& recovery, u32 acknowledged) {
  if (recovery.sample_start == 0 || !TCP_SEQ_GT(acknowledged, recovery.sample_end)) return;
  u64 took = port::now_ns() - std::exchange(recovery.sample_start, 0);
  recovery.round_trip =
      recovery.round_trip == 0 ? took + 1 : (7 * recovery.round_trip + took) / 8 + 1;
}

// RFC 8985, 7.4: if the probe filled a gap, that was a loss like any other. A peer that had the
// segment already reports a block below what it acknowledges (RFC 2883).
void judge_probe(tcp_pcb& pcb, Recovery& recovery, u32 acknowledged, const Blocks& blocks) {
  if (!recovery.probe_out || TCP_SEQ_LT(acknowledged, recovery.probe_end)) return;
  recovery.probe_out = false;
  bool had_it = !blocks.empty() && TCP_SEQ_LEQ(blocks[0].right, acknowledged);
  if (had_it || recovery.active) return;
  note_loss();
  pcb.ssthresh =
      std::max<tcpwnd_size_t>(std::min(pcb.cwnd, pcb.snd_wnd) / 10 * 7, tcpwnd_size_t{2} * pcb.mss);
  pcb.cwnd = std::min(pcb.cwnd, pcb.ssthresh);
}

void on_acknowledgement(tcp_pcb& pcb, u32 acknowledged, const Blocks& blocks) {
  Recovery* recovery = recovery_of(pcb, !blocks.empty());
  if (recovery == nullptr) return;
  take_round_trip(*recovery, acknowledged);
  judge_probe(pcb, *recovery, acknowledged, blocks);
  if (pcb.unacked != nullptr || pcb.unsent != nullptr) expect_word(pcb, *recovery);
  // lwIP's timer has expired, and it sends everything again.
  if ((pcb.flags & TF_RTO) != 0) {
    note_loss();
    return forget(pcb, *recovery);
  }
  if (recovery->active && TCP_SEQ_GEQ(acknowledged, recovery->until)) {
    recovery->active = false;
    recovery->repeats.clear();
  }
  if (pcb.unacked == nullptr) return;
  Held held = mark_held(pcb, blocks);
  u32 repeated = repeat_lost(pcb, *recovery, held, acknowledged);
  if (repeated > 0) {
    note_loss();
    // Karn's rule: it is unknown which of the two copies was acknowledged
    recovery->sample_start = 0;
    pcb.rttest = 0;
    pcb.rtime = 0;
    if (!recovery->active) {
      recovery->active = true;
      recovery->until = pcb.snd_nxt;
      // 0.7 of the bytes in flight, as in RFC 9438.
      tcpwnd_size_t flight = std::min(pcb.cwnd, pcb.snd_wnd);
      pcb.ssthresh = std::max<tcpwnd_size_t>(flight / 10 * 7, tcpwnd_size_t{2} * pcb.mss);
    }
  }
  if (!recovery->active) return;
  // lwIP counts what the peer holds as in flight. The flag disables its own fast retransmit.
  pcb.cwnd = pcb.ssthresh + held.bytes;
  tcp_set_flags(&pcb, TF_INFR);
}

// RFC 6298, 2.2: the answer to the SYN is the first measurement. lwIP starts measuring with the
// first data, from three seconds, of which a third goes with each round trip, so a lost request
// would wait that long.
void take_first_round_trip(tcp_pcb& pcb, u32 acknowledged) {
  bool opening = pcb.state == SYN_SENT || pcb.state == SYN_RCVD;
  // The measurement is off (0) once the SYN was repeated.
  if (!opening || pcb.rttest == 0 || !TCP_SEQ_LT(pcb.rtseq, acknowledged)) return;
  i16 ticks = static_cast<i16>(std::min<u32>(tcp_ticks - pcb.rttest, kMostTicks));
  pcb.sa = static_cast<i16>(ticks * 8);  // lwIP stores 8 times the mean and 4 times the variation
  pcb.sv = std::max<i16>(kLeastTicks, static_cast<i16>(ticks * 2));
  pcb.rto = static_cast<i16>(ticks + pcb.sv);
  pcb.rttest = 0;
}

// RFC 5681, 4.2: a segment that fills a gap is acknowledged at once. lwIP would wait for a second
// segment, and delay the peer's recovery. After a timeout the peer sends one segment per round
// trip, each filling what it believes to be a gap; those are acknowledged at once, too.
bool wants_answer_now(tcp_pcb& pcb, u32 sequence) {
  if (pcb.ooseq != nullptr) return true;
  bool repeated = TCP_SEQ_LT(sequence, pcb.rcv_nxt);
  Recovery* recovery = recovery_of(pcb, repeated);
  if (recovery == nullptr) return false;
  if (repeated) recovery->quick = kQuick;
  if (recovery->quick == 0) return false;
  recovery->quick--;
  return true;
}

}  // namespace

void before_output(tcp_pcb& pcb) {
  Recovery* recovery = recovery_of(pcb, true);
  if (recovery != nullptr) expect_word(pcb, *recovery);
}

}  // namespace net

err_t marrow_lwip_tcp_input(tcp_pcb* pcb, tcp_hdr* header, u16_t option_bytes, u16_t in_first,
                            u8_t* more, pbuf* packet) {
  bool open = pcb->state >= ESTABLISHED && pcb->state != TIME_WAIT;
  if ((TCPH_FLAGS(header) & TCP_ACK) != 0) net::take_first_round_trip(*pcb, header->ackno);
  bool plain = (TCPH_FLAGS(header) & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK;
  // If a delayed acknowledgement is pending, lwIP sends the next one immediately.
  if (open && packet->tot_len > 0 && net::wants_answer_now(*pcb, header->seqno))
    tcp_set_flags(pcb, TF_ACK_DELAY);
  if (!open || !plain || (pcb->flags & TF_SACK) == 0) return ERR_OK;
  u32 acknowledged = header->ackno;  // lwIP has converted it to host order already
  bool possible =
      TCP_SEQ_GEQ(acknowledged, pcb->lastack) && TCP_SEQ_LEQ(acknowledged, pcb->snd_nxt);
  if (possible)
    net::on_acknowledgement(*pcb, acknowledged,
                            net::blocks_of(header, option_bytes, in_first, more));
  return ERR_OK;
}
