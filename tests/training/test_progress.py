from toolkit.training.progress import TrainingProgress


def test_it_tells_the_validations_figures_on_standard_error(capsys):
    progress = TrainingProgress(steps_per_epoch=3, epochs=2)

    progress.on_train_begin()
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(3):
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"val_accuracy": 0.875 + epoch / 10})
    progress.on_train_end()

    out, err = capsys.readouterr()
    assert out == ""
    assert "Fine-tuning" in err
    assert "6/6" in err
    assert "epoch 2/2: validation 97.5%" in " ".join(err.split())


def test_an_epoch_that_does_not_count_is_not_shown(capsys):
    progress = TrainingProgress(steps_per_epoch=3, epochs=2, counts=lambda: False)
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, {"val_accuracy": 0.1})
    progress.on_train_end()
    assert "validation" not in capsys.readouterr().err
