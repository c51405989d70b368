"""The checkout form."""

from __future__ import annotations

from django import forms

from .models import Order


# Its model can be named in brackets in the stubs, not where it runs.
class CheckoutForm(forms.ModelForm):  # type: ignore[type-arg]
    """Who orders. PagoEfectivo needs the e-mail; the phone goes along if it is given."""

    #: Fields of django-pagoefectivo's ``Customer`` and the form's field that asks for them.
    FIELD_OF = {
        "email": "email",
        "first_name": "first_name",
        "last_name": "last_name",
        "phone": "phone",
    }

    class Meta:
        model = Order
        fields = ("first_name", "last_name", "email", "phone")
        labels = {"email": "E-mail", "phone": "Mobile phone (optional)"}
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "phone": forms.TextInput(
                attrs={"autocomplete": "tel-national", "inputmode": "tel", "type": "tel"}
            ),
        }
