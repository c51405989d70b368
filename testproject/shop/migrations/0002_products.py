"""Six products to begin with."""

from decimal import Decimal

from django.db import migrations

PRODUCTS = [
    {
        "slug": "cafe-chanchamayo",
        "name": "Chanchamayo coffee, 250 g",
        "origin": "Junín",
        "description": "Washed arabica from 1,700 m: cocoa, orange peel, a long finish.",
        "price": Decimal("38.00"),
        "stock": 24,
    },
    {
        "slug": "chocolate-piura",
        "name": "White cacao chocolate, 70%",
        "origin": "Piura",
        "description": "Single-estate bar of porcelana cacao, stone-ground and unhurried.",
        "price": Decimal("24.50"),
        "stock": 40,
    },
    {
        "slug": "chalina-alpaca",
        "name": "Baby alpaca scarf",
        "origin": "Puno",
        "description": "Woven on a pedal loom in the colours of the altiplano at dusk.",
        "price": Decimal("129.90"),
        "stock": 9,
    },
    {
        "slug": "chullo-qero",
        "name": "Q’ero chullo",
        "origin": "Cusco",
        "description": "Hand-knit hat with ear flaps; no two have the same border.",
        "price": Decimal("72.00"),
        "stock": 12,
    },
    {
        "slug": "torito-pucara",
        "name": "Torito de Pucará",
        "origin": "Puno",
        "description": "The ceramic bull that guards Andean roofs and the people below.",
        "price": Decimal("85.00"),
        "stock": 3,
    },
    {
        "slug": "lamina-apu",
        "name": "“Apu” art print, A3",
        "origin": "Lima",
        "description": "Risograph in four colours, numbered. Priced in dollars for collectors.",
        "price": Decimal("22.00"),
        "currency": "USD",
        "stock": 15,
    },
]


def stock_the_shelf(apps, schema_editor):
    Product = apps.get_model("shop", "Product")
    for position, values in enumerate(PRODUCTS, start=1):
        Product.objects.using(schema_editor.connection.alias).get_or_create(
            slug=values["slug"],
            defaults={
                **values,
                "picture": f"shop/products/{values['slug']}.svg",
                "position": position,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [migrations.RunPython(stock_the_shelf, migrations.RunPython.noop)]
