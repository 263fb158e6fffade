package official

// HaveNoPatience makes an engine count as idle as soon as nobody is connected.
func (s *Supervisor) HaveNoPatience() { s.policy.idle = 0 }
