"""The probe and the parts of the fit loop: schedules, optimizers, callbacks."""
